#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr int orders = 40;
constexpr std::int64_t ledger = 1;

/// Delivers a press of "Pay" as Telegram would. @returns true if it was taken
bool press(std::uint16_t port, std::int64_t id, std::int64_t chat, int order) {
  const std::string who = std::to_string(chat);
  const std::string body =
      R"({"update_id":)" + std::to_string(id) +
      R"(,"callback_query":{"id":"q)" + std::to_string(id) +
      R"(","from":{"id":)" + who +
      R"(,"is_bot":false,"first_name":"A"},"message":{"message_id":9,"date":1,)"
      R"("chat":{"id":)" +
      who + R"(,"type":"private"}},"chat_instance":"c","data":"pay:)" +
      std::to_string(order) + R"("}})";
  return ask(port, "POST", "/webhook", body,
             {{"Content-Type", "application/json"},
              {"X-Telegram-Bot-Api-Secret-Token", secret}})
             .status == 200;
}

/// By order, the texts that said it was charged. One that came twice (its
/// answer was lost in the kill) counts once: a second charge has another text.
std::map<std::string, std::set<std::string>> charges(const stage& on) {
  std::map<std::string, std::set<std::string>> out;
  for (const logged_call& one : on.calls())
    if (one.chat == ledger && one.text.starts_with("Charged order "))
      out[one.text.substr(14, one.text.find(',') - 14)].insert(one.text);
  return out;
}

}  // namespace

TEST_CASE(
    "an order that is paid for in two chats, on two nodes of which one is "
    "killed, is charged once") {
  if (!redis_test::have_redis())
    return;
  redis_test::redis_server redis{{.append_only = true}};
  stage on{{"--global-per-second", "0", "--chat-per-second", "0",
            "--group-per-minute", "0"},
           {{"TROUPE_STORE_URL", redis.url()},
            {"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_LIMITS_GROUP_PER_MINUTE", "0"},
            {"TROUPE_LOG_LEVEL", "warn"}},
           "payment"};
  on.start_bot();
  on.write(ledger, "Now the simulator knows the ledger's chat.");

  const std::uint16_t second_port = free_port();
  const std::uint16_t second_stats = free_port();
  launch what;
  what.program = built("payment");
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
  auto deliver = [&](std::uint16_t port, std::int64_t chat, int order) {
    ++id;
    // What a node did not take, Telegram delivers again: to the other.
    if (!press(port, id, chat, order))
      REQUIRE(
          eventually([&] { return press(on.bot_port(), id, chat, order); }));
  };
  for (int order = 1; order <= orders; ++order) {
    deliver(on.bot_port(), 10'000 + order, order);
    deliver(second_port, 20'000 + order, order);
    // With presses that it took and may not have turned.
    if (order == orders / 2) {
      second.signal(SIGKILL);
      REQUIRE(second.wait() == 128 + SIGKILL);
    }
  }
  const bool done = eventually([&] { return on.idle(); });
  INFO(on.bot().err());
  REQUIRE(done);
  const json::object turned = on.stats();
  INFO(json::serialize(turned));
  on.stop();

  const auto all = charges(on);
  CHECK(all.size() == orders);
  for (auto& [order, texts] : all) {
    INFO("order " << order);
    CHECK(texts.size() == 1);
  }
}
