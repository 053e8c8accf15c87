#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/chaos.hpp"
#include "tests/system/cluster_stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr std::uint16_t shards = 128;  // as store.shards is by default
constexpr std::int64_t chats = 36;
constexpr std::size_t hung = 2;

std::int64_t settling(cluster_stage& on) {
  const auto says = on.stats(hung);
  return says ? number(says->at("depth").get_object(), "settling") : 0;
}

/// All chats have texts, until the node has calls under way, and more behind
/// them in its lanes: what it would go on with.
void keep_busy(cluster_stage& on, std::map<std::int64_t, int>& written) {
  REQUIRE(eventually([&] {
    for (std::int64_t chat = 1; chat <= chats; ++chat)
      on.telegram().write(chat, "t" + std::to_string(++written[chat]));
    const auto says = on.stats(hung);
    if (!says)
      return false;
    const json::object& depth = says->at("depth").get_object();
    const auto under_way = number(depth, "in_flight");
    return under_way >= 2 && number(depth, "outbox") >= under_way + 8;
  }));
}

/// The node that hangs is out, and the others have done what it left.
bool others_did_it_all(cluster_stage& on) {
  if (!on.whole(0, on.size() - 1))
    return false;
  const auto says = on.stats(0);
  const json::value* store = says ? says->if_contains("store") : nullptr;
  return store != nullptr && number(store->get_object(), "outbox") == 0 &&
         number(store->get_object(), "journal") == 0;
}

void recover(cluster_stage& on) {
  REQUIRE(eventually([&] { return on.whole(); }));
  REQUIRE(eventually([&] { return on.idle(); }));
}

}  // namespace

TEST_CASE(
    "G6: an owner that was stopped past its lease commits and sends nothing "
    "in its shards' name when it goes on") {
  if (!have_store(store_kind::redis))
    return;
  cluster_stage on{3,
                   {"--answer-delay", "2000", "--global-per-second", "0",
                    "--chat-per-second", "0", "--group-per-minute", "0"},
                   {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
                    {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
                    {"TROUPE_LIMITS_GROUP_PER_MINUTE", "0"},
                    {"TROUPE_LOG_LEVEL", "debug"}}};
  on.start();
  std::map<std::int64_t, int> written;  // by chat

  // It goes on and hears nothing of Redis: its own clock must tell it.
  keep_busy(on, written);
  on.stop(hung);
  REQUIRE(eventually([&] { return others_did_it_all(on); }));
  on.to_store(hung).hold();
  on.go_on(hung);
  CHECK(eventually([&] { return on.totals()["held_back"] > 0; }));
  on.to_store(hung).pass();
  recover(on);
  CHECK(on.totals()["leases_lost"] > 0);

  // What it told Redis while its lease was good gets there when it is not any
  // more. Whether it hears of that before it hears that its shards are lost,
  // is up to the machine.
  for (int tries = 0; tries < 3 && on.totals()["fenced"] == 0; ++tries) {
    keep_busy(on, written);
    on.to_store(hung).hold();
    REQUIRE(eventually([&] { return settling(on) > 0; }));
    on.stop(hung);
    REQUIRE(eventually([&] { return others_did_it_all(on); }));
    on.to_store(hung).pass();
    on.go_on(hung);
    recover(on);
  }
  auto counted = on.totals();
  std::cout << "stopped past its lease: " << counted["leases_lost"]
            << " leases lost, " << counted["held_back"]
            << " commits and calls held back, " << counted["fenced"]
            << " refused by the store" << std::endl;
  on.end();

  const auto taken = takeovers(on.log_lines());
  const repeats found = repeats_in(on.telegram(), taken, shards);
  for (const std::string& each : found.unexplained)
    std::cout << "no takeover explains " << each << std::endl;
  CHECK(found.unexplained.empty());
  const json::object v =
      on.telegram().verdict({"--max-duplicates", std::to_string(found.copies)});
  INFO(json::serialize(v));
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "order_violations") == 0);
  CHECK(number(v, "state_errors") == 0);
  CHECK(v.at("ok") == json::value(true));
}
