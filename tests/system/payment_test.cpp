#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/system/second_node.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr int orders = 40;
constexpr std::int64_t ledger = 1;

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

  second_node second{on};
  for (int order = 1; order <= orders; ++order) {
    const auto pressed = "pay:" + std::to_string(order);
    second.press_first(10'000 + order, pressed);
    second.press_second(20'000 + order, pressed);
    // With presses that it took and may not have turned.
    if (order == orders / 2)
      second.kill();
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
