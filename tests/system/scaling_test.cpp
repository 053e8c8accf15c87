#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/system/chaos.hpp"
#include "tests/system/cluster_stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr std::uint16_t shards = 128;  // as store.shards is by default
constexpr std::int64_t chats = 100;

/// Each chat has one more text.
void write_round(cluster_stage& on, std::map<std::int64_t, int>& written) {
  for (std::int64_t chat = 1; chat <= chats; ++chat)
    on.telegram().write(chat, "t" + std::to_string(++written[chat]));
}

std::int64_t outbox(cluster_stage& on) {
  const auto says = on.stats(0);
  const json::value* store = says ? says->if_contains("store") : nullptr;
  return store ? number(store->get_object(), "outbox") : 0;
}

/// Until so many nodes have shared the shards; all the time calls wait.
void keep_busy_until(cluster_stage& on, std::map<std::int64_t, int>& written,
                     std::size_t nodes) {
  REQUIRE(eventually([&] {
    if (outbox(on) < chats)
      write_round(on, written);
    return on.whole(0, nodes);
  }));
}

/// As an autoscaler or systemctl ends a node.
void shrink(cluster_stage& on, std::map<std::int64_t, int>& written,
            std::size_t which) {
  on.node(which).signal(SIGTERM);
  keep_busy_until(on, written, which);
  const int code = on.node(which).wait();
  INFO(on.node(which).err());
  CHECK(code == 0);
}

/// Nothing waits: not at Telegram, not in the store.
bool all_done(cluster_stage& on) {
  const json::object telegram = on.telegram().sim_state();
  const auto says = on.stats(0);
  const json::value* store = says ? says->if_contains("store") : nullptr;
  return store && number(telegram, "pending") == 0 &&
         number(telegram, "in_flight") == 0 &&
         number(store->get_object(), "journal") == 0 &&
         number(store->get_object(), "outbox") == 0;
}

}  // namespace

// With Telegram's own limits: who comes and who goes takes a part of the budget
// along (docs/adr/0012).
TEST_CASE(
    "G1-G5, G7: a cluster grows from one node to three and back under a "
    "burst") {
  if (!have_store(store_kind::redis))
    return;
  cluster_stage on{3, {}, {{"TROUPE_LOG_LEVEL", "debug"}}};
  std::map<std::int64_t, int> written;  // by chat
  on.launch_node(0);
  REQUIRE(eventually([&] { return on.whole(0, 1); }));
  write_round(on, written);
  REQUIRE(eventually([&] { return outbox(on) > 0; }));

  on.launch_node(1);
  on.launch_node(2);
  keep_busy_until(on, written, 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(eventually([&] { return on.ready(i); }));
  shrink(on, written, 2);
  shrink(on, written, 1);
  REQUIRE(eventually([&] { return all_done(on); }));
  on.node(0).signal(SIGTERM);
  CHECK(on.node(0).wait() == 0);
  on.telegram().stop_sim();

  const repeats found =
      repeats_in(on.telegram(), takeovers(on.log_lines()), shards);
  std::cout << "grown and shrunk: " << found.copies << " replies twice"
            << std::endl;
  CHECK(found.unexplained.empty());
  const json::object v =
      on.telegram().verdict({"--max-duplicates", std::to_string(found.copies)});
  INFO(json::serialize(v));
  CHECK(number(v, "updates") == chats * written[1]);
  CHECK(number(v, "accepted") == number(v, "updates"));
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "order_violations") == 0);
  CHECK(number(v, "state_errors") == 0);
  CHECK(number(v, "limit_violations") == 0);
  CHECK(number(v, "answers_429") == 0);
  CHECK(v.at("ok") == json::value(true));
}
