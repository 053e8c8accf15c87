#include <csignal>
#include <map>

#include "tests/store/redis_support.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::testing;

namespace {

/// How often the server carried out each number of the hash `marks`.
std::map<std::size_t, long> marks(client& by) {
  const auto got = run(by, "marks", {"HGETALL", "marks"},
                       {.repeatable = true, .timeout = 100s});
  REQUIRE(got.has_value());
  std::map<std::size_t, long> out;
  for (std::size_t i = 0; i + 1 < got->items.size(); i += 2)
    out[std::stoul(got->items[i].text)] = std::stol(got->items[i + 1].text);
  return out;
}

/// Calls that broke a promise, given what the server did.
std::size_t broken(const tally& ends, std::map<std::size_t, long> done,
                   std::size_t calls) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < calls; ++i) {
    const auto times = done.count(i) == 0 ? 0 : done[i];
    switch (ends.at(i)) {
      case tally::ok: out += times != 1 ? 1 : 0; break;
      case tally::unavailable: out += times != 0 ? 1 : 0; break;
      case tally::unknown: out += times > 1 ? 1 : 0; break;
      case tally::none:
      case tally::other: ++out; break;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("Redis killed under load: done once, not at all, or said unknown") {
  if (!have_redis())
    return;
  // fsync always: what was answered survives, so the marks tell the truth.
  redis_server server{{.append_only = true, .lines = {"appendfsync always"}}};
  const auto c = open_at(server.url());
  constexpr std::size_t calls = 30'000;
  constexpr int kills = 3;
  tally ends{calls};
  std::atomic<bool> loading{true};
  std::jthread load{[&] {
    for (std::size_t i = 0; i < calls; ++i) {
      c->eval(mark(), {"marks"}, {i}, {.timeout = 100s}, ends.of(i));
      if (i % 100 == 0)
        eventually([&] { return ends.answered() + 1'000 > i; });
    }
    loading = false;
  }};
  for (int i = 1; i <= kills; ++i) {
    eventually([&] { return ends.answered() > calls * i / (kills + 2); });
    CHECK(loading);  // in the middle of it
    server.kill();
    server.restart();
  }
  load.join();
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO("ok " << ends.count(tally::ok) << " unknown "
             << ends.count(tally::unknown) << " unavailable "
             << ends.count(tally::unavailable) << "; " << ends.last_error());
  CHECK(ends.twice() == 0);
  CHECK(ends.count(tally::unknown) > 0);
  CHECK(ends.count(tally::ok) > calls / 2);
  CHECK(broken(ends, marks(*c), calls) == 0);
  CHECK(c->now().reconnects >= kills);
  CHECK(c->now().unknown == ends.count(tally::unknown));
}

TEST_CASE("Redis away: what was never written is unavailable after its time") {
  if (!have_redis())
    return;
  redis_server server{{.append_only = true, .lines = {"appendfsync always"}}};
  const auto c = open_at(server.url());
  run(*c, "k", {"PING"});
  server.kill();
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  tally ends{100};
  for (std::size_t i = 0; i < 100; ++i)
    c->eval(mark(), {"marks"}, {i}, {.timeout = 300ms}, ends.of(i));
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.count(tally::unavailable) == 100);
  CHECK(ends.last_error().find("refused") != std::string::npos);
  CHECK(ends.last_error().find("nothing was done") != std::string::npos);
  server.restart();
  CHECK(marks(*c).empty());
}

TEST_CASE("Redis away: repeatable commands come through by themselves") {
  if (!have_redis())
    return;
  redis_server server{{.append_only = true, .lines = {"appendfsync always"}}};
  const auto c = open_at(server.url());
  constexpr std::size_t calls = 2'000;
  tally ends{calls};
  server.freeze();  // so that they are written, and not answered
  for (std::size_t i = 0; i < calls; ++i)
    c->eval(mark(), {"marks"}, {i}, {.repeatable = true, .timeout = 100s},
            ends.of(i));
  REQUIRE(eventually([&] { return c->now().waiting == 0; }));
  server.kill();
  server.restart();
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == calls);
  CHECK(marks(*c).size() == calls);
}

TEST_CASE("Redis frozen: unknown within the timeout, then all is well again") {
  if (!have_redis())
    return;
  redis_server server;
  client_options how;
  how.patience = 200ms;
  const auto c = open_at(server.url(), how);
  run(*c, "k", {"PING"});
  server.freeze();
  tally ends{100};
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < 100; ++i)
    c->eval(mark(), {"marks"}, {i}, {.timeout = 500ms}, ends.of(i));
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(std::chrono::steady_clock::now() - begin >= 500ms);
  CHECK(ends.count(tally::unknown) == 100);
  CHECK(ends.last_error().find(server.place()) != std::string::npos);
  // The connection is given up: its late answers would be out of step.
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  server.thaw();
  for (std::size_t i = 100; i < 110; ++i) {
    const auto got = eval(*c, script{"return ARGV[1]"}, {"k"}, {i});
    CHECK(said(got) == std::to_string(i));
  }
  // It had read them, and did them when it woke up; each once.
  CHECK(broken(ends, marks(*c), 100) == 0);
}

TEST_CASE("Redis slow: an overdue answer costs the others nothing") {
  if (!have_redis())
    return;
  redis_server server;
  client_options how;
  how.patience = 60s;
  const auto c = open_at(server.url(), how);
  tally ends{2};
  c->run("k", {"DEBUG", "SLEEP", "1"}, {.timeout = 200ms}, ends.of(0));
  c->run("k", {"PING"}, {.timeout = 100s}, ends.of(1));
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.at(0) == tally::unknown);
  CHECK(ends.at(1) == tally::ok);
  CHECK(said(run(*c, "k", {"ECHO", "right"})) == "right");
  CHECK(c->now().reconnects == 0);
}

TEST_CASE("Redis loading its data is waited for") {
  if (!have_redis())
    return;
  redis_server server{
      {.append_only = true,
       .lines = {"key-load-delay 20000",
                 "loading-process-events-interval-bytes 1024"}}};
  const auto c = open_at(server.url());
  const script fill{
      "for i = 1, 100 do redis.call('SET', 'k' .. i, string.rep('x', 100)) "
      "end"};
  REQUIRE(eval(*c, fill, {"k"}, {}).has_value());
  REQUIRE(said(run(*c, "k", {"BGREWRITEAOF"})).find("started") !=
          std::string::npos);
  REQUIRE(eventually(
      [&] { return server.info("aof_rewrite_in_progress") == "0"; }));
  server.kill();
  // What is written before its end is noticed has an unknown outcome.
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  std::promise<std::string> length;
  c->run("k1", {"STRLEN", "k1"}, {.timeout = 100s},
         [&](auto got) { length.set_value(said(got)); });
  server.restart();  // takes 2 s to load
  CHECK(length.get_future().get() == "100");
}

TEST_CASE("Redis busy with a script refuses, and is asked again") {
  if (!have_redis())
    return;
  redis_server server{{.lines = {"busy-reply-threshold 100"}}};
  const auto c = open_at(server.url());
  const auto other = open_at(server.url());
  tally ends{2};
  other->eval(script{"while true do end"}, {"k"}, {}, {.timeout = 100s},
              ends.of(0));
  REQUIRE(eventually([&] {
    return server.ask({"GET", "k"}).rfind("BUSY", 0) == 0;
  }));
  c->run("k", {"INCR", "k"}, {.timeout = 100s}, ends.of(1));
  REQUIRE(eventually([&] { return c->now().commands >= 3; }));
  CHECK(ends.answered() == 0);
  CHECK(server.ask({"SCRIPT", "KILL"}) == "OK");
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.at(1) == tally::ok);
  CHECK(server.ask({"GET", "k"}) == "1");
}

TEST_CASE("Redis drops connections again and again: order and count hold") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  // Repeatable, so that every one of them must be carried out; what is carried
  // out twice is seen as such by its own number.
  const script append{"return redis.call('RPUSH', KEYS[1], ARGV[1])"};
  constexpr std::size_t calls = 20'000;
  tally ends{calls};
  std::jthread killer{[&] {
    for (int i = 0; i < 20 && !ends.complete(); ++i) {
      const auto before = ends.answered();
      eventually(
          [&] { return ends.complete() || ends.answered() > before + 50; });
      server.ask({"CLIENT", "KILL", "TYPE", "normal"});
    }
  }};
  for (std::size_t i = 0; i < calls; ++i) {
    c->eval(append, {"list"}, {i}, {.repeatable = true, .timeout = 100s},
            ends.of(i));
    if (i % 100 == 0)
      eventually([&] { return ends.answered() + 500 > i; });
  }
  CHECK(eventually([&] { return ends.complete(); }));
  killer.join();
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == calls);
  const auto list = run(*c, "list", {"LRANGE", "list", "0", "-1"});
  // Each connection's part is in order; a new one begins at or before the end.
  std::size_t next = 0, jumps_ahead = 0;
  for (const auto& item : list->items) {
    const auto n = std::stoul(item.text);
    jumps_ahead += n > next ? 1 : 0;
    next = n + 1;
  }
  CHECK(jumps_ahead == 0);
  CHECK(next == calls);
  CHECK(c->now().reconnects > 0);
}
