#include <iostream>

#include "store/redis_slots.hpp"
#include "tests/store/fixture.hpp"
#include "tests/store/owners_load.hpp"
#include "tests/support/redis_server.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using redis_test::eventually;
using redis_test::have_redis;
using redis_test::redis_cluster;
using redis_test::redis_sentinels;
using redis_test::redis_server;

// Replication is asynchronous: only what all replicas have is sure to be with
// the one that takes over. So the stores here wait for all of them.

namespace {

constexpr auto bot = "77";
constexpr std::size_t some = 25;  ///< updates turned by each owner, at least

sync_store open_at(const std::string& url, const troupe::clock& time,
                   unsigned replicas) {
  options how;
  how.url = url;
  how.bot = bot;
  how.shards = shard_count;
  how.time = &time;
  how.wait_replicas = replicas;
  auto got = store::open(how);
  if (!got)
    FAIL(to_string(got.error()));
  return sync_store{std::move(*got)};
}

void report(const char* what, const owners_load& load) {
  std::cout << what << ": " << load.turned() << " updates turned, "
            << load.hindered() << " calls asked again, of which "
            << load.unknown() << " with an unknown outcome\n";
}

bool is_primary(const redis_server& which) {
  return which.info("role") == "master";
}

}  // namespace

TEST_CASE(
    "failovers behind Sentinels cost owners under load nothing "
    "(G1, G2, G4)") {
  if (!have_redis())
    return;
  redis_sentinels all{"", 2, true};
  test_clock time;
  auto s = open_at(all.url(), time, 2);
  owners_load load{*s, {{0}, {1}, {2}, {3}}};
  CHECK(load.goes_on(some));

  CHECK(all.sentinel(0).ask({"SENTINEL", "FAILOVER", "main"}) == "OK");
  CHECK(eventually([&] {
    const auto* now = all.named();
    return now != nullptr && now != &all.primary();
  }));
  CHECK(load.goes_on(some));

  auto* second = all.named();
  REQUIRE(second != nullptr);
  second->kill();
  CHECK(eventually([&] {
    const auto* now = all.named();
    return now != nullptr && now != second;
  }));
  // Too few replicas: writes end unknown, reads unavailable.
  const auto before = load.hindered();
  CHECK(eventually([&] { return load.hindered() > before; }));
  second->restart();  // a replica from here on: two of them again
  CHECK(load.goes_on(some));

  CHECK(load.finish() == "");
  report("failovers behind Sentinels", load);
}

TEST_CASE(
    "failovers in a Redis Cluster cost owners under load nothing "
    "(G1, G2, G4)") {
  if (!have_redis())
    return;
  redis_cluster cluster{3, 1, true};
  test_clock time;
  auto s = open_at(cluster.url(), time, 1);
  // Two shards at each of the primaries.
  std::vector<shard_id> shards;
  std::vector<int> there(3, 0);
  for (std::uint16_t i = 0; i < shard_count; ++i) {
    const auto slot =
        redis::slot_of(std::string{"{"} + bot + ":" + std::to_string(i) + "}");
    if (there[slot * 3U / redis::slot_count]++ < 2)
      shards.push_back({i});
  }
  REQUIRE(shards.size() == 6);
  owners_load load{*s, shards};
  CHECK(load.goes_on(some));

  CHECK(cluster.node(3).ask({"CLUSTER", "FAILOVER"}) == "OK");
  CHECK(eventually([&] { return is_primary(cluster.node(3)); }));
  CHECK(load.goes_on(some));

  cluster.node(1).kill();
  CHECK(eventually([&] { return is_primary(cluster.node(4)); }));
  const auto before = load.hindered();
  CHECK(eventually([&] { return load.hindered() > before; }));
  cluster.node(1).restart();  // a replica of node 4 from here on
  CHECK(load.goes_on(some));

  CHECK(load.finish() == "");
  report("failovers in a Redis Cluster", load);
}

TEST_CASE("what no replica has yet is not shown to an owner either (G1)") {
  if (!have_redis())
    return;
  redis_server primary{{.append_only = true}};
  redis_server replica{
      {.lines = {"replicaof 127.0.0.1 " + std::to_string(primary.port())}}};
  REQUIRE(
      eventually([&] { return replica.info("master_link_status") == "up"; }));
  test_clock time;
  auto s = open_at(primary.url(), time, 1);
  const auto key = chat_key::chat(42);
  const auto held = s.claim_one(shard_of_key(key));
  accept_one(s, 1, key);
  replica.freeze();
  const auto taken = s.accept({arriving(2, key)});
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == errc::unknown_outcome);
  // It is at the primary; a failover would lose it, and give its sequence to
  // another.
  const auto seen = s.backlog(held.shard);
  REQUIRE_FALSE(seen.has_value());
  CHECK(seen.error().code == errc::unavailable);
  CHECK_FALSE(s.renew({held}).has_value());
  // Nor is a repeat taken for done, also over a connection that wrote nothing.
  primary.ask({"CLIENT", "KILL", "TYPE", "normal"});
  CHECK_FALSE(s.accept({arriving(2, key)}).has_value());
  primary.ask({"CLIENT", "KILL", "TYPE", "normal"});
  CHECK(s.load({key}).error().code == errc::unavailable);
  replica.thaw();
  CHECK(eventually([&] {
    const auto again = s.accept({arriving(2, key)});
    return again.has_value() && !again->at(0).fresh;
  }));
  CHECK(s.backlog(held.shard).value().size() == 2);
}
