#include <algorithm>

#include "store/redis_script.hpp"
#include "tests/store/fixture.hpp"
#include "tests/support/redis_server.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using redis_test::have_redis;
using redis_test::redis_server;

// What the script remembers within a run, and what it leaves out to be cheap.

namespace {

constexpr std::int64_t window_ms = milliseconds{dedup_window}.count();

struct stage {
  explicit stage(unsigned shards = shard_count)
      : server{{.append_only = true}} {
    how.url = server.url();
    how.bot = "77";
    how.shards = static_cast<std::uint16_t>(shards);
    how.time = &time;
  }

  sync_store open() { return sync_store{store::open(how).value()}; }

  /// One run of parts, each {operation, arguments...}, all on shard 3.
  std::string run(const std::vector<std::vector<std::string>>& parts) {
    std::vector<std::string> words{"EVAL", redis::the_script().text(),
                                   std::to_string(parts.size())};
    words.insert(words.end(), parts.size(), "troupe:{77:3}:m");
    words.push_back(std::to_string(to_ms(time.wall())));
    for (const auto& p : parts) {
      words.push_back(p.at(0));
      words.push_back(std::to_string(p.size() - 1));
      words.insert(words.end(), p.begin() + 1, p.end());
    }
    return server.ask(words);
  }

  std::uint64_t calls(const std::string& command) const {
    const auto line =  // calls=7,usec=...
        server.info("cmdstat_" + command, {"INFO", "commandstats"});
    const auto at = line.find('=');
    return at == line.npos ? 0 : std::stoull(line.substr(at + 1));
  }

  redis_server server;
  test_clock time;
  options how;
};

std::vector<arrival> ids(std::int64_t from, std::int64_t n,
                         std::int64_t step = 1) {
  std::vector<arrival> out;
  for (std::int64_t i = 0; i < n; ++i)
    out.push_back(arriving(from + i * step, chat_key::chat(1), "{}"));
  return out;
}

std::size_t fresh(sync_store& s, std::vector<arrival> batch) {
  const auto r = s.accept(std::move(batch)).value();
  return static_cast<std::size_t>(std::count_if(
      r.begin(), r.end(), [](const receipt& one) { return one.fresh; }));
}

}  // namespace

TEST_CASE("a run that changes a shard's owner fences what follows in it (G6)") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto first = std::to_string(s.claim_one({3}, "a").term.value);
  const std::vector<std::string> commit{"commit", first, "0"};
  const std::vector<std::string> settle{"settle", first, "0"};
  const std::vector<std::string> renew{"renew", first, "60000"};
  CHECK(on.run({commit, settle, renew, commit}) == "ok ok ok 0 ok");
  // Claimed anew by the same node: the old epoch is over at once.
  const std::string said =
      on.run({commit, {"claim", "a", "60000"}, commit, renew, settle});
  const auto claimed = said.substr(6, said.find(' ', 6) - 6);
  CHECK(claimed > first);
  CHECK(said == "ok ok " + claimed + " 0  no fenced ok  no fenced");
  CHECK(on.run({{"commit", claimed, "0"},
                {"release", claimed},
                {"settle", claimed, "0"}}) == "ok ok no fenced");
}

TEST_CASE("many ids at once are all known, whatever their step (G2)") {
  if (!have_redis())
    return;
  for (const std::int64_t step : {1, 2, 7, 16, 30}) {
    stage on{1};
    auto s = on.open();
    INFO("every id of " << step);
    const std::int64_t n = 1'000;
    CHECK(fresh(s, ids(65'536, n, step)) == n);
    CHECK(fresh(s, ids(65'536, n, step)) == 0);
    CHECK(s.stats().journal == n);
    CHECK(on.server.ask({"TYPE", "troupe:{77:0}:d:2"}) == "string");
    // Those between are none of them.
    if (step > 1)
      CHECK(fresh(s, ids(65'537, n, step)) == n);
  }
}

TEST_CASE("a block of ids lives as long as its last id is to be known (G2)") {
  if (!have_redis())
    return;
  stage on{1};
  auto s = on.open();
  const std::string block = "troupe:{77:0}:d:2";
  const auto left = [&] { return std::stoll(on.server.ask({"PTTL", block})); };
  // As a set, and again as a bitmap: made in the middle of a run.
  std::int64_t next = 65'536;
  for (const std::int64_t more : {1, 10, 600, 1}) {
    CHECK(fresh(s, ids(next, more)) == std::size_t(more));
    next += more;
    INFO(next << " ids, " << on.server.ask({"TYPE", block}));
    CHECK(left() >= window_ms);
    // Nearly over: whoever comes then is to be known for the whole time.
    on.server.ask({"PEXPIRE", block, "60000"});
    CHECK(fresh(s, ids(next++, 1)) == 1);
    CHECK(left() >= window_ms);
    on.server.ask({"PEXPIRE", block, "60000"});
  }
  CHECK(on.server.ask({"TYPE", block}) == "string");
}

TEST_CASE("turns of one commit see the ends that those before them set") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  const auto record = "troupe:{77:3}:c:" + to_string(key);
  auto ends = [&](std::uint64_t version) {
    auto t = turn_of(key, version, accept_one(s, std::int64_t(version), key));
    t.state = "S";
    t.expires = on.time.wall() + milliseconds{5'000};
    return t;
  };
  auto keeps = [&](std::uint64_t version) {
    auto t = turn_of(key, version, accept_one(s, std::int64_t(version), key));
    t.state = "T";
    return t;
  };
  REQUIRE(s.commit(held, {ends(0), keeps(1)}).has_value());
  CHECK(on.server.ask({"PTTL", record}) == "-1");
  CHECK_FALSE(s.load_one(key).expires.has_value());
  REQUIRE(s.commit(held, {ends(2), keeps(3), ends(4)}).has_value());
  CHECK(std::stoll(on.server.ask({"PTTL", record})) > window_ms);
  CHECK(s.load_one(key).expires.has_value());
  REQUIRE(s.commit(held, {keeps(5)}).has_value());
  CHECK(on.server.ask({"PTTL", record}) == "-1");
  CHECK_FALSE(s.load_one(key).expires.has_value());
  CHECK(s.load_one(key).version == 6);
  CHECK(s.stats().chats == 1);
}

TEST_CASE("records that are asked for alone need no script") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = "S";
  REQUIRE(s.commit(held, {t}).has_value());
  on.server.ask({"CONFIG", "RESETSTAT"});
  const auto all = s.load({chat_key::chat(999), key}).value();
  CHECK((all.at(0).version == 0 && all[1].state == "S"));
  CHECK(on.calls("evalsha") == 0);
  CHECK(on.calls("hgetall") == 2);
  on.server.ask({"SET", "troupe:{77:3}:c:" + to_string(key), "no hash"});
  CHECK(s.load({key}).error().code == errc::corrupt);
}

TEST_CASE("what an update costs on Redis does not creep up") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  std::uint64_t n = 0;
  auto update = [&] {
    auto t = turn_of(key, n, accept_one(s, std::int64_t(n), key));
    ++n;
    t.state = "S";
    t.calls = {call_of(key, make_call_id(held.term, std::uint32_t(n)))};
    REQUIRE(s.commit(held, {t}).has_value());
    REQUIRE(
        s.settle(held, {settled(t.calls[0], call_outcome::sent)}).has_value());
  };
  update();  // the first makes the block of ids
  on.server.ask({"CONFIG", "RESETSTAT"});
  constexpr std::uint64_t updates = 64;
  for (std::uint64_t i = 0; i < updates; ++i)
    update();
  std::uint64_t sum = 0;
  for (const char* command :
       {"type", "sadd", "pttl", "pexpire", "hincrby", "xadd", "hmget", "hget",
        "hexists", "xrange", "hsetnx", "xdel", "hset", "hdel", "scard"})
    sum += on.calls(command);
  // 5 to accept, 6 to commit, 2 to settle; the size of the set now and then.
  CHECK(sum >= updates * 13);
  CHECK(sum <= updates * 13 + updates / 4);
  CHECK(on.calls("evalsha") == updates * 3);
}
