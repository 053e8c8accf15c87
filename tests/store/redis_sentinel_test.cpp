#include "tests/store/redis_support.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::testing;

TEST_CASE(
    "Redis Sentinel: the primary is found, and refusals say who said so") {
  if (!have_redis())
    return;
  redis_sentinels all{"secret"};
  const auto c = open_at(all.url(":secret@"));
  run(*c, "k", {"SET", "k", "v"});
  CHECK(all.primary().ask({"GET", "k"}) == "v");
  CHECK(c->where() == all.url());

  client_options soon;
  soon.connect_timeout = 2s;
  auto url = all.url();
  url.replace(url.rfind("main"), 4, "other");
  auto got = try_open(url, soon);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().context.find(all.sentinel(0).place() +
                                 ": it knows no primary of that name") !=
        std::string::npos);

  // One that can't be asked and one that knows nothing are passed over.
  redis_server blank{{.sentinel = {"sentinel monitor x 127.0.0.1 1 1"}}};
  all.sentinel(0).kill();
  const auto d =
      open_at("redis+sentinel://:secret@" + all.sentinel(0).place() + "," +
              blank.place() + "," + all.sentinel(2).place() + "/main");
  CHECK(said(run(*d, "k", {"GET", "k"})) == "v");
}

TEST_CASE("Redis Sentinel: a password of their own") {
  if (!have_redis())
    return;
  redis_server primary;
  redis_server sentinel{{.password = "guard",
                         .sentinel = {"sentinel monitor main 127.0.0.1 " +
                                          std::to_string(primary.port()) + " 1",
                                      "requirepass guard"}}};
  const auto url = "redis+sentinel://" + sentinel.place() + "/main";
  open_at(url + "?sentinel_password=guard");
  client_options how;
  how.connect_timeout = 60s;
  for (const auto* query : {"", "?sentinel_password=WRONGSECRET"}) {
    const auto got = try_open(url + query, how);
    REQUIRE_FALSE(got.has_value());
    INFO(to_string(got.error()));
    CHECK(got.error().context.find(sentinel.place()) == 0);
    CHECK(got.error().context.find("WRONGSECRET") == std::string::npos);
  }
}

TEST_CASE("Redis Sentinel: a dead primary under load is replaced") {
  if (!have_redis())
    return;
  redis_sentinels all;
  client_options how;
  // Replication is asynchronous: only what the replica confirmed is certain.
  how.wait_replicas = 1;
  const auto c = open_at(all.url(), how);
  std::vector<std::unique_ptr<tally>> rounds;
  constexpr std::size_t each = 500;
  const auto round = [&](bool repeatable) {
    const auto base = rounds.size() * each;
    auto& ends = *rounds.emplace_back(std::make_unique<tally>(each));
    for (std::size_t i = 0; i < each; ++i)
      c->eval(mark(), {"marks"}, {base + i},
              {.repeatable = repeatable, .timeout = 100s}, ends.of(i));
  };
  round(false);
  REQUIRE(eventually([&] { return rounds[0]->answered() > each / 4; }));
  all.primary().kill();
  // Else the next ones might go to the dead one, too, and all end unknown.
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  round(false);
  REQUIRE(eventually(
      [&] { return rounds[0]->complete() && rounds[1]->complete(); }));
  // The new primary has no replica: what it does can't be confirmed.
  CHECK(all.replica().info("role") == "master");
  std::size_t broken = 0;
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(rounds[r]->twice() == 0);
    for (std::size_t i = 0; i < each; ++i) {
      const auto times =
          all.replica().ask({"HGET", "marks", std::to_string(r * each + i)});
      const auto end = rounds[r]->at(i);
      broken += (end == tally::ok && times != "1") ||
                (end == tally::unavailable && !times.empty()) ||
                (end == tally::unknown && !times.empty() && times != "1") ||
                end == tally::other;
    }
  }
  CHECK(broken == 0);
  CHECK(rounds[0]->count(tally::ok) > 0);
  CHECK(c->now().reconnects >= 1);
}

TEST_CASE("Redis Sentinel: a planned failover loses nothing repeatable") {
  if (!have_redis())
    return;
  redis_sentinels all;
  const auto c = open_at(all.url());
  constexpr std::size_t calls = 20'000;
  tally ends{calls};
  std::jthread load{[&] {
    const script set{"return redis.call('SET', KEYS[1], ARGV[1])"};
    for (std::size_t i = 0; i < calls; ++i) {
      c->eval(set, {"k" + std::to_string(i)}, {i},
              {.repeatable = true, .timeout = 100s}, ends.of(i));
      if (i % 20 == 0)
        eventually([&] { return ends.answered() + 100 > i; });
      // The second half is for the new primary. (What the old one did after
      // its replica was promoted is lost, and WAIT is the remedy.)
      if (i == calls / 2)
        eventually([&] { return c->now().reconnects > 0; });
    }
  }};
  eventually([&] { return ends.answered() > 1'000; });
  CHECK(all.sentinel(0).ask({"SENTINEL", "FAILOVER", "main"}) == "OK");
  CHECK(eventually([&] { return all.replica().info("role") == "master"; }));
  load.join();
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == calls);
  for (const auto i : {calls / 2 + 100, calls - 1})
    CHECK(all.replica().ask({"GET", "k" + std::to_string(i)}) ==
          std::to_string(i));
}

TEST_CASE("Redis Sentinel: a frozen primary is replaced, too") {
  if (!have_redis())
    return;
  redis_sentinels all;
  client_options how;
  how.patience = 200ms;
  const auto c = open_at(all.url(), how);
  run(*c, "k", {"SET", "k", "1"});
  REQUIRE(eventually([&] { return all.replica().ask({"GET", "k"}) == "1"; }));
  all.primary().freeze();
  tally ends{2};
  c->run("k", {"SET", "k", "2"}, {.timeout = 500ms}, ends.of(0));
  c->run("k", {"SET", "k", "3"}, {.repeatable = true, .timeout = 100s},
         ends.of(1));
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.at(0) == tally::unknown);
  CHECK(ends.at(1) == tally::ok);
  CHECK(all.replica().ask({"GET", "k"}) == "3");
  all.primary().thaw();
}
