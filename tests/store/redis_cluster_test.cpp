#include "store/redis_slots.hpp"
#include "tests/store/redis_support.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::testing;

namespace {

const script append{"return redis.call('RPUSH', KEYS[1], ARGV[1])"};

/// A key of the slot.
std::string key_in(std::uint16_t slot) {
  for (int i = 0;; ++i) {
    const auto tag = "{" + std::to_string(i) + "}";
    if (slot_of(tag) == slot)
      return tag;
  }
}

/// Tells every node of the cluster.
void tell_all(redis_cluster& cluster, const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < cluster.size(); ++i)
    CHECK(cluster.node(i).ask(words) == "OK");
}

/// The slot's owner and the others, as indices.
std::pair<std::size_t, std::size_t> from_to(redis_cluster& cluster,
                                            const std::string& key) {
  for (std::size_t i = 0; i < cluster.size(); ++i)
    if (&cluster.node(i) == &cluster.owner(key))
      return {i, (i + 1) % cluster.size()};
  FAIL("no owner");
  return {};
}

/// Moves the keys of a slot, all at once, and then the slot itself.
void move_slot(redis_cluster& cluster, std::uint16_t slot,
               const std::string& key) {
  const auto [from, to] = from_to(cluster, key);
  const auto number = std::to_string(slot);
  CHECK(cluster.node(to).ask({"CLUSTER", "SETSLOT", number, "IMPORTING",
                              cluster.id(from)}) == "OK");
  CHECK(cluster.node(from).ask({"CLUSTER", "SETSLOT", number, "MIGRATING",
                                cluster.id(to)}) == "OK");
  cluster.node(from).ask({"MIGRATE", "127.0.0.1",
                          std::to_string(cluster.node(to).port()), key, "0",
                          "5000"});
  tell_all(cluster, {"CLUSTER", "SETSLOT", number, "NODE", cluster.id(to)});
}

}  // namespace

TEST_CASE("Redis Cluster: every slot is reached, each at its node") {
  if (!have_redis())
    return;
  redis_cluster cluster{3};
  CHECK(slot_of("foo{bar}") ==
        std::stoi(cluster.node(0).ask({"CLUSTER", "KEYSLOT", "foo{bar}"})));
  // One of the nodes is enough to find the others.
  const auto c = open_at("redis+cluster://" + cluster.node(1).place());
  CHECK(c->parts() == 3);
  CHECK(c->now().connected == 3);
  constexpr std::size_t keys = 3'000;
  tally ends{keys};
  for (std::size_t i = 0; i < keys; ++i)
    c->eval(append, {"list:{" + std::to_string(i) + "}"}, {i},
            {.timeout = 100s}, ends.of(i));
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == keys);
  std::size_t all = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto here = std::stoul(cluster.node(i).ask({"DBSIZE"}));
    CHECK(here > keys / 6);
    all += here;
  }
  CHECK(all == keys);
  CHECK(c->now().reconnects == 0);

  const auto sizes = wait_for<std::vector<reply>>([&](auto done) {
    c->run_on_all({"DBSIZE"}, {.timeout = 60s}, std::move(done));
  });
  REQUIRE(sizes.has_value());
  std::int64_t sum = 0;
  for (const auto& one : *sizes)
    sum += one.number;
  CHECK(sizes->size() == 3);
  CHECK(sum == keys);

  const auto crossing = eval(*c, append, {"{a}", "{b}"}, {1});
  REQUIRE_FALSE(crossing.has_value());
  CHECK(crossing.error().context.find("CROSSSLOT") != std::string::npos);
}

TEST_CASE(
    "Redis Cluster: opening a server that is none, or not ready, says so") {
  if (!have_redis())
    return;
  redis_server alone;
  client_options how;
  how.connect_timeout = 60s;
  auto got = try_open("redis+cluster://" + alone.place(), how);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().context.find("cluster support disabled") !=
        std::string::npos);
  redis_server partial{{.cluster = true}};
  partial.ask({"CLUSTER", "ADDSLOTSRANGE", "0", "16000"});
  how.connect_timeout = 500ms;
  got = try_open("redis+cluster://" + partial.place(), how);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().context.find("383 of 16384 slots") != std::string::npos);
}

TEST_CASE("Redis Cluster: a single-server URL for a cluster is explained") {
  if (!have_redis())
    return;
  redis_cluster cluster{2};
  const auto c = open_at(cluster.node(0).url());
  const auto key = key_in(16383);  // of the other node
  const auto got = run(*c, key, {"GET", key});
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == errc::incompatible);
}

TEST_CASE("Redis Cluster: a slot that moves under load keeps its order") {
  if (!have_redis())
    return;
  redis_cluster cluster{3};
  const auto c = open_at(cluster.url());
  constexpr std::uint16_t slot = 77;
  const auto key = key_in(slot);
  constexpr std::size_t calls = 20'000;
  tally ends{calls}, others{calls};
  std::jthread load{[&] {
    for (std::size_t i = 0; i < calls; ++i) {
      c->eval(append, {key}, {i}, {.timeout = 100s}, ends.of(i));
      c->eval(append, {"{" + std::to_string(i % 100) + "x}"}, {i},
              {.timeout = 100s}, others.of(i));
      if (i % 10 == 0)
        eventually([&] { return ends.answered() + 200 > i; });
    }
  }};
  for (int round = 1; round <= 5; ++round) {
    eventually([&] {
      return ends.answered() > static_cast<std::size_t>(round) * calls / 7;
    });
    CHECK_FALSE(ends.complete());
    move_slot(cluster, slot, key);
  }
  load.join();
  REQUIRE(eventually([&] { return ends.complete() && others.complete(); }));
  INFO(ends.last_error() << others.last_error());
  CHECK(ends.count(tally::ok) == calls);
  CHECK(others.count(tally::ok) == calls);
  const auto list = run(*c, key, {"LRANGE", key, "0", "-1"});
  REQUIRE(list.has_value());
  REQUIRE(list->items.size() == calls);
  std::size_t out_of_order = 0;
  for (std::size_t i = 0; i < calls; ++i)
    out_of_order += list->items[i].text != std::to_string(i) ? 1 : 0;
  CHECK(out_of_order == 0);
  CHECK(c->now().reconnects == 0);
}

TEST_CASE("Redis Cluster: keys that are halfway are asked for where they are") {
  if (!have_redis())
    return;
  redis_cluster cluster{2};
  const auto c = open_at(cluster.url());
  constexpr std::uint16_t slot = 78;
  const auto tag = key_in(slot);
  const auto [from, to] = from_to(cluster, tag);
  run(*c, tag, {"SET", tag + "1", "one"});
  run(*c, tag, {"SET", tag + "2", "two"});
  const auto number = std::to_string(slot);
  cluster.node(to).ask(
      {"CLUSTER", "SETSLOT", number, "IMPORTING", cluster.id(from)});
  cluster.node(from).ask(
      {"CLUSTER", "SETSLOT", number, "MIGRATING", cluster.id(to)});
  cluster.node(from).ask({"MIGRATE", "127.0.0.1",
                          std::to_string(cluster.node(to).port()), tag + "1",
                          "0", "5000"});
  CHECK(said(run(*c, tag, {"GET", tag + "1"})) == "one");  // ASK
  CHECK(said(run(*c, tag, {"GET", tag + "2"})) == "two");

  // Both at once are nowhere: it waits, without holding up another slot.
  const script both{"return redis.call('MGET', KEYS[1], KEYS[2])"};
  tally ends{1};
  c->eval(both, {tag + "1", tag + "2"}, {}, {.timeout = 100s}, ends.of(0));
  const auto other = key_in(79);
  for (int i = 0; i < 100; ++i)
    CHECK(said(run(*c, other, {"INCR", other})) == std::to_string(i + 1));
  CHECK(ends.answered() == 0);
  cluster.node(from).ask({"MIGRATE", "127.0.0.1",
                          std::to_string(cluster.node(to).port()), tag + "2",
                          "0", "5000"});
  tell_all(cluster, {"CLUSTER", "SETSLOT", number, "NODE", cluster.id(to)});
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.at(0) == tally::ok);
}

TEST_CASE("Redis Cluster: a dead primary's replica takes over under load") {
  if (!have_redis())
    return;
  redis_cluster cluster{3, 1};
  const auto c = open_at(cluster.url());
  CHECK(c->parts() == 3);
  constexpr std::size_t calls = 6'000;
  tally ends{calls};
  // Repeatable: all of it must get through, wherever it lives.
  for (std::size_t i = 0; i < calls; ++i) {
    const auto key = "{" + std::to_string(i) + "}";
    c->eval(script{"return redis.call('SET', KEYS[1], ARGV[1])"}, {key}, {i},
            {.repeatable = true, .timeout = 100s}, ends.of(i));
    if (i == calls / 2) {
      eventually([&] { return ends.answered() > calls / 4; });
      cluster.node(0).kill();
    }
  }
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == calls);
  CHECK(cluster.node(3).info("role") == "master");
  std::size_t missing = 0;
  for (std::size_t i = calls / 2; i < calls; ++i) {
    const auto key = "{" + std::to_string(i) + "}";
    missing += said(run(*c, key, {"GET", key})) != std::to_string(i) ? 1 : 0;
  }
  CHECK(missing == 0);
  // The dead node is not among those that are talked to.
  REQUIRE(
      eventually([&] { return c->parts() == 3 && c->now().connected == 3; }));
}

TEST_CASE("Redis Cluster: a planned failover loses nothing and no order") {
  if (!have_redis())
    return;
  redis_cluster cluster{2, 1};
  const auto c = open_at(cluster.url());
  constexpr std::size_t calls = 20'000;
  const auto key = key_in(5);  // of node 0
  tally ends{calls};
  std::jthread load{[&] {
    for (std::size_t i = 0; i < calls; ++i) {
      c->eval(append, {key}, {i}, {.timeout = 100s}, ends.of(i));
      if (i % 10 == 0)
        eventually([&] { return ends.answered() + 100 > i; });
    }
  }};
  eventually([&] { return ends.answered() > calls / 10; });
  CHECK(cluster.node(2).ask({"CLUSTER", "FAILOVER"}) == "OK");
  CHECK(eventually([&] { return cluster.node(2).info("role") == "master"; }));
  load.join();
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO("ok " << ends.count(tally::ok) << ", " << ends.last_error());
  CHECK(ends.twice() == 0);
  CHECK(ends.count(tally::ok) + ends.count(tally::unknown) == calls);
  const auto list = run(*c, key, {"LRANGE", key, "0", "-1"});
  REQUIRE(list.has_value());
  std::vector<int> times(calls, 0);
  std::int64_t before = -1;
  std::size_t out_of_order = 0;
  for (const auto& item : list->items) {
    const auto n = std::stoll(item.text);
    out_of_order += n <= before ? 1 : 0;
    before = n;
    ++times[static_cast<std::size_t>(n)];
  }
  CHECK(out_of_order == 0);
  std::size_t broken = 0;
  for (std::size_t i = 0; i < calls; ++i)
    broken += (ends.at(i) == tally::ok && times[i] != 1) || times[i] > 1;
  CHECK(broken == 0);
}
