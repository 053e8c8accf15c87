#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/system/second_node.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr int slots = 30;

/// By slot, the chats that were told so.
std::map<std::string, std::set<std::int64_t>> told(const stage& on,
                                                   const std::string& what) {
  std::map<std::string, std::set<std::int64_t>> out;
  for (const logged_call& one : on.calls())
    if (one.text.ends_with(what))
      out[one.text.substr(0, one.text.size() - what.size())].insert(one.chat);
  return out;
}

}  // namespace

TEST_CASE(
    "a slot that is pressed in two chats, on two nodes of which one is killed, "
    "is booked once, and both are told what the table says (G2, G4)") {
  if (!postgres_test::have_postgres())
    return;
  postgres_test::postgres_server database{{.sync = true}};
  REQUIRE(database
              .ask("CREATE TABLE bookings(slot text PRIMARY KEY, chat int8 "
                   "NOT NULL, turn text NOT NULL)")
              .empty());
  stage on{{"--global-per-second", "0", "--chat-per-second", "0",
            "--group-per-minute", "0"},
           {{"TROUPE_STORE_URL", database.url()},
            {"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_LIMITS_GROUP_PER_MINUTE", "0"},
            {"TROUPE_LOG_LEVEL", "warn"}},
           "booking"};
  on.start_bot();
  // So that the simulator knows them.
  for (int slot = 1; slot <= slots; ++slot)
    for (const int chat : {10'000 + slot, 20'000 + slot})
      on.write(chat, "hello");

  second_node second{on};
  for (int slot = 1; slot <= slots; ++slot) {
    const auto pressed = "book:" + std::to_string(slot);
    second.press_first(10'000 + slot, pressed);
    second.press_second(20'000 + slot, pressed);
    // With presses that it took and may not have turned.
    if (slot == slots / 2)
      second.kill();
  }
  const bool done = eventually([&] { return on.idle(); });
  INFO(on.bot().err());
  REQUIRE(done);
  on.stop();

  CHECK(database.ask("SELECT count(*) FROM bookings") == std::to_string(slots));
  const auto yours = told(on, " is yours.");
  const auto taken = told(on, " is taken.");
  for (int slot = 1; slot <= slots; ++slot) {
    INFO("slot " << slot);
    const auto name = std::to_string(slot);
    const auto owner =
        database.ask("SELECT chat FROM bookings WHERE slot = '" + name + "'");
    REQUIRE(yours.contains(name));
    REQUIRE(taken.contains(name));
    const auto loser =
        std::stoll(owner) == 10'000 + slot ? 20'000 + slot : 10'000 + slot;
    CHECK(yours.at(name) == std::set<std::int64_t>{std::stoll(owner)});
    CHECK(taken.at(name) == std::set<std::int64_t>{loser});
    // The row's turn is the update that was told so.
    CHECK(database.ask("SELECT turn LIKE 'update/%' FROM bookings WHERE slot "
                       "= '" +
                       name + "'") == "t");
  }
}
