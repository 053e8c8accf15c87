#include "store/redis_client.hpp"

#include <array>
#include <set>

#include "tests/store/redis_support.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::testing;

TEST_CASE("Redis: scripts and commands are carried out") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  CHECK(c->parts() == 1);
  CHECK(c->where() == server.url());
  CHECK(run(*c, "k", {"SET", "k", "v"})->is_ok());
  CHECK(said(run(*c, "k", {"GET", "k"})) == "v");
  CHECK(run(*c, "k", {"GET", "none"})->is_nil());

  const script code{"return {KEYS[1], ARGV[1], #ARGV[2], ARGV[3] + 1, false}"};
  const auto body =
      std::make_shared<const std::string>(std::string(3'000'000, '\0'));
  const auto got = eval(*c, code, {"k"}, {"text", body, 41});
  REQUIRE(got.has_value());
  REQUIRE(got->items.size() == 5);
  CHECK(got->items[0].text == "k");
  CHECK(got->items[1].text == "text");
  CHECK(got->items[2].number == 3'000'000);
  CHECK(got->items[3].number == 42);
  CHECK(got->items[4].is_nil());
  CHECK(server.ask({"CLIENT", "LIST"}).find("name=troupe") !=
        std::string::npos);

  const auto now = c->now();
  CHECK(now.nodes == 1);
  CHECK(now.connected == 1);
  CHECK(now.commands == 4);
  CHECK(now.reconnects == 0);
  CHECK(now.bytes_out > 3'000'000);
  CHECK(now.bytes_in > 0);
  CHECK(now.in_flight == 0);
  CHECK(now.waiting == 0);
  CHECK(now.round_trip.count() > 0);
}

TEST_CASE("Redis: the database of the URL is used") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url("/3"));
  run(*c, "k", {"SET", "k", "v"});
  CHECK(server.info("db3", {"INFO", "keyspace"}).find("keys=1") == 0);
  const auto refused = try_open(server.url("/400"));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find("database 400") != std::string::npos);
}

TEST_CASE("Redis: a script's error and a wrong command are told apart") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  const auto failed =
      eval(*c, script{"return redis.error_reply('MINE it is')"}, {"k"}, {});
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == errc::internal);
  CHECK(failed.error().context == server.place() + ": MINE it is");
  run(*c, "k", {"SET", "k", "v"});
  CHECK(run(*c, "k", {"LPUSH", "k", "v"}).error().code == errc::corrupt);
  CHECK(run(*c, "k", {"NONSENSE"}).error().code == errc::internal);
  CHECK(eval(*c, script{"this is no Lua"}, {"k"}, {}).error().code ==
        errc::internal);
  server.ask({"CONFIG", "SET", "maxmemory", "1"});
  const auto full = eval(*c, mark(), {"h"}, {1});
  CHECK(full.error().code == errc::unavailable);
  CHECK(full.error().context.find("OOM") != std::string::npos);
  CHECK(c->now().reconnects == 0);
}

TEST_CASE("Redis: ten thousand evals of four threads keep each one's order") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  // Each thread's list shows the order in which Redis carried out its evals.
  const script append{"return redis.call('RPUSH', KEYS[1], ARGV[1])"};
  constexpr int threads = 4, each = 2'500;
  std::array<std::vector<std::int64_t>, threads> answers;
  tally ends{threads * each};
  std::vector<std::jthread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        auto count = ends.of(static_cast<std::size_t>(t * each + i));
        c->eval(append, {"list:" + std::to_string(t)}, {i}, {.timeout = 100s},
                [&, t, count](result<reply> got) {
                  if (got)
                    answers[static_cast<std::size_t>(t)].push_back(got->number);
                  count(std::move(got));
                });
      }
    });
  for (auto& one : running)
    one.join();
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == threads * each);
  for (int t = 0; t < threads; ++t) {
    const auto list =
        run(*c, "x", {"LRANGE", "list:" + std::to_string(t), "0", "-1"});
    REQUIRE(list.has_value());
    REQUIRE(list->items.size() == each);
    int out_of_order = 0;
    for (int i = 0; i < each; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (list->items[at].text != std::to_string(i) ||
          answers[static_cast<std::size_t>(t)][at] != i + 1)
        ++out_of_order;
    }
    CHECK(out_of_order == 0);
  }
}

TEST_CASE("Redis: big pipelines and big answers do not block each other") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  // 64 MB out and 64 MB in at once: more than all buffers between us hold.
  constexpr std::size_t calls = 64;
  const auto body =
      std::make_shared<const std::string>(std::string(1'000'000, 'x'));
  const script echo{"return ARGV[1]"};
  std::atomic<std::size_t> right{0};
  tally ends{calls};
  for (std::size_t i = 0; i < calls; ++i)
    c->eval(echo, {"k"}, {body}, {.timeout = 100s},
            [&, count = ends.of(i)](result<reply> got) {
              if (got && got->text == *body)
                ++right;
              count(std::move(got));
            });
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(right == calls);
}

TEST_CASE("Redis: SCRIPT FLUSH under load is not noticed, nor any order lost") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  const script first{"return redis.call('RPUSH', KEYS[1], ARGV[1])"};
  const script second{"return redis.call('RPUSH', KEYS[1], ARGV[1]) + 0"};
  constexpr std::size_t calls = 20'000;
  tally ends{calls};
  std::jthread flusher{[&] {
    while (!ends.complete()) {
      server.ask({"SCRIPT", "FLUSH"});
      const auto now = ends.answered();
      eventually([&] { return ends.complete() || ends.answered() > now; });
    }
  }};
  for (std::size_t i = 0; i < calls; ++i) {
    c->eval(i % 3 == 0 ? second : first, {"list"}, {i}, {.timeout = 100s},
            ends.of(i));
    if (i % 500 == 0)
      eventually([&] { return ends.answered() + 2'000 > i; });
  }
  CHECK(eventually([&] { return ends.complete(); }));
  flusher.join();
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == calls);
  const auto list = run(*c, "list", {"LRANGE", "list", "0", "-1"});
  REQUIRE(list->items.size() == calls);
  std::size_t out_of_order = 0;
  for (std::size_t i = 0; i < calls; ++i)
    out_of_order += list->items[i].text != std::to_string(i) ? 1 : 0;
  CHECK(out_of_order == 0);
}

TEST_CASE("Redis: callbacks may call, and come one at a time on one thread") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  std::atomic<int> inside{0}, overlaps{0}, left{1'000};
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::function<void()> next = [&] {
    c->run("k", {"INCR", "k"}, {.timeout = 60s}, [&](result<reply>) {
      if (++inside > 1)
        ++overlaps;
      {
        const std::lock_guard lock{mutex};
        threads.insert(std::this_thread::get_id());
      }
      if (--left > 0)
        next();
      --inside;
    });
  };
  for (int i = 0; i < 8; ++i)
    next();
  REQUIRE(eventually([&] { return left <= -7; }));
  CHECK(overlaps == 0);
  CHECK(threads.size() == 1);
  CHECK(threads.count(std::this_thread::get_id()) == 0);
}

TEST_CASE("Redis: closing answers what waits, once, and all that follows") {
  if (!have_redis())
    return;
  redis_server server;
  auto c = open_at(server.url());
  server.freeze();
  constexpr std::size_t calls = 100;
  std::array<std::atomic<int>, calls> cancelled{};
  const auto ask = [&](std::size_t i) {
    c->run("k", {"PING"}, {.timeout = 100s}, [&, i](result<reply> got) {
      if (!got && got.error().code == errc::cancelled)
        ++cancelled[i];
    });
  };
  for (std::size_t i = 0; i < calls - 2; ++i)
    ask(i);
  c->close();
  c->close();
  ask(calls - 2);
  c->run_on_all({"PING"}, {}, [&](result<std::vector<reply>> got) {
    if (!got && got.error().code == errc::cancelled)
      ++cancelled[calls - 1];
  });
  for (const auto& one : cancelled)
    CHECK(one == 1);
  CHECK(c->now().connected == 0);
  c.reset();
  server.thaw();
}

TEST_CASE("Redis: a client may be closed from its own callback") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  tally ends{2};
  c->run("k", {"PING"}, {}, [&, count = ends.of(0)](result<reply> got) {
    c->close();
    count(std::move(got));
  });
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  c->run("k", {"PING"}, {}, ends.of(1));
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.at(0) == tally::ok);
  CHECK(ends.at(1) == tally::other);
}

TEST_CASE("Redis: one question to all primaries") {
  if (!have_redis())
    return;
  redis_server server;
  const auto c = open_at(server.url());
  const auto got = wait_for<std::vector<reply>>([&](auto done) {
    c->run_on_all({"INFO", "server"}, {.timeout = 60s}, std::move(done));
  });
  REQUIRE(got.has_value());
  REQUIRE(got->size() == 1);
  CHECK(got->at(0).text.find("redis_version") != std::string::npos);
  const auto wrong = wait_for<std::vector<reply>>([&](auto done) {
    c->run_on_all({"NONSENSE"}, {.timeout = 60s}, std::move(done));
  });
  CHECK(wrong.error().code == errc::internal);
}

TEST_CASE("Redis: opening says why it can't be done") {
  if (!have_redis())
    return;
  redis_server server;
  const auto place = server.place();
  server.kill();
  client_options soon;
  soon.connect_timeout = 300ms;
  auto refused = try_open("redis://" + place, soon);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::unavailable);
  CHECK(refused.error().context.find(place) != std::string::npos);
  CHECK(refused.error().context.find("refused") != std::string::npos);

  refused = try_open("redis://no-such-host.invalid", soon);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find("no-such-host.invalid:6379") == 0);

  server.restart();
  server.freeze();
  refused = try_open("redis://" + place, soon);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::unavailable);
  CHECK(refused.error().context.find("no answer") != std::string::npos);
  server.thaw();
}

TEST_CASE("Redis: opening waits for a server that is starting") {
  if (!have_redis())
    return;
  redis_server server;
  const auto url = server.url();
  server.kill();
  auto opened = std::async(std::launch::async, [&] { return open_at(url); });
  std::this_thread::sleep_for(200ms);
  server.restart();
  const auto c = opened.get();
  CHECK(said(run(*c, "k", {"PING"})) == "PONG");
}
