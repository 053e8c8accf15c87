#include <csignal>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr int slots = 30;

/// Delivers a press as Telegram would. @returns true if it was taken
bool press_slot(std::uint16_t port, std::int64_t id, std::int64_t chat,
                int slot) {
  const std::string who = std::to_string(chat);
  const std::string body =
      R"({"update_id":)" + std::to_string(id) +
      R"(,"callback_query":{"id":"q)" + std::to_string(id) +
      R"(","from":{"id":)" + who +
      R"(,"is_bot":false,"first_name":"A"},"message":{"message_id":9,"date":1,)"
      R"("chat":{"id":)" +
      who + R"(,"type":"private"}},"chat_instance":"c","data":"book:)" +
      std::to_string(slot) + R"("}})";
  return ask(port, "POST", "/webhook", body,
             {{"Content-Type", "application/json"},
              {"X-Telegram-Bot-Api-Secret-Token", secret}})
             .status == 200;
}

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

  const std::uint16_t second_port = free_port();
  const std::uint16_t second_stats = free_port();
  launch what;
  what.program = built("booking");
  what.args = {"run"};
  what.environment = on.settings();
  what.environment["TROUPE_WEBHOOK_LISTEN"] =
      "127.0.0.1:" + std::to_string(second_port);
  what.environment["TROUPE_STATS_LISTEN"] =
      "127.0.0.1:" + std::to_string(second_stats);
  what.folder = on.folder().path();
  what.output = "second";
  process second{what};
  const bool up = eventually([&] {
    return ask(second_stats, "GET", "/readyz", {}, {}, seconds{5}).status ==
           200;
  });
  INFO(second.err());
  REQUIRE(up);

  // Far from what the simulator numbers.
  std::int64_t id = 1'000'000;
  auto deliver = [&](std::uint16_t port, std::int64_t chat, int slot) {
    ++id;
    // What a node did not take, Telegram delivers again: to the other.
    if (!press_slot(port, id, chat, slot))
      REQUIRE(eventually(
          [&] { return press_slot(on.bot_port(), id, chat, slot); }));
  };
  for (int slot = 1; slot <= slots; ++slot) {
    deliver(on.bot_port(), 10'000 + slot, slot);
    deliver(second_port, 20'000 + slot, slot);
    // With presses that it took and may not have turned.
    if (slot == slots / 2) {
      second.signal(SIGKILL);
      REQUIRE(second.wait() == 128 + SIGKILL);
    }
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
