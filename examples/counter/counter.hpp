#pragma once

// [counter-begin]
#include <cstdint>
#include <string>
#include <troupe/bot.hpp>

struct counter {
  std::int64_t n = 0;  // durable, one per chat
};
BOOST_DESCRIBE_STRUCT(counter, (), (n))

/// Numbers every text message of a chat, commands included.
inline troupe::behavior count(troupe::chat<counter>* ctx) {
  return {
      [=](const troupe::text_message& m) {
        auto n = ++ctx->state.n;
        ctx->reply("n=" + std::to_string(n) + " text=" + m.text);
      },
  };
}
// [counter-end]
