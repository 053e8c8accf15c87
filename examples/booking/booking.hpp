#pragma once

#include <string>
#include <troupe/bot.hpp>
#include <variant>

using namespace troupe;

// The bot's own table, beside Troupe's in the same PostgreSQL database:
//
//   CREATE TABLE bookings(slot text PRIMARY KEY, chat int8 NOT NULL,
//                         turn text NOT NULL);

// [booking-begin]
inline behavior booking(chat<std::monostate>* ctx) {
  return {
      commands{{"slots",
                [=](const command&) {
                  ctx->reply("When?", buttons{{{"9:00", "book:9:00"}},
                                              {{"10:00", "book:10:00"}}});
                }}},
      [=](const callback& q) {
        const auto slot = q.data.substr(q.data.find(':') + 1);
        // In the turn's own transaction. If another has the slot, the turn is
        // taken back and comes here once more, to be told false.
        const bool mine = ctx->sql(
                                 "INSERT INTO bookings(slot, chat, turn) "
                                 "VALUES($1, $2, $3) ON CONFLICT(slot) DO "
                                 "UPDATE SET turn = bookings.turn "
                                 "WHERE bookings.chat = excluded.chat",
                                 {slot, ctx->id(), ctx->turn_id()})
                              .changed();
        ctx->answer(q);
        ctx->reply(slot + (mine ? " is yours." : " is taken."));
      },
  };
}
// [booking-end]
