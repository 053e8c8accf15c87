#include <iostream>
#include <sstream>

#include "tests/store/fixture.hpp"
#include "tests/support/redis_server.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using redis_test::have_redis;
using redis_test::redis_server;

namespace {

const chat_key key = chat_key::chat(42);

/// A key of another shard than `of`.
chat_key key_elsewhere(chat_key of) {
  return key_in(
      {static_cast<std::uint16_t>((shard_of_key(of).value + 1) % shard_count)});
}

std::string prefix(const std::string& bot, shard_id s) {
  return "troupe:{" + bot + ':' + std::to_string(s.value) + "}:";
}

/// One server, and how to open a store on it.
struct stage {
  explicit stage(bool append_only = true)
      : server{{.append_only = append_only}} {
    how.url = server.url();
    how.bot = "77";
    how.shards = shard_count;
    how.time = &time;
  }

  sync_store open() { return sync_store{store::open(how).value()}; }

  redis_server server;
  test_clock time;
  options how;
};

}  // namespace

TEST_CASE("an update remembered on Redis takes at most 16 bytes (G2)") {
  if (!have_redis())
    return;
  // Spread over 128 shards, all in one, and with most ids of other bots' size
  // between: the packed sets, the bitmaps, and the change from one to the
  // other.
  struct shape {
    std::uint16_t shards;
    std::int64_t updates;
    std::int64_t step;
  };
  for (const auto& [shards, updates, step] :
       {shape{128, 100'000, 1}, shape{1, 100'000, 1}, shape{128, 60'000, 7}}) {
    stage on;
    on.how.shards = shards;
    auto s = on.open();
    auto used = [&] {
      std::uint64_t sum = 0;
      std::istringstream keys{on.server.ask({"KEYS", "troupe:*:d:*"})};
      for (std::string k; keys >> k;)
        sum +=
            std::stoull(on.server.ask({"MEMORY", "USAGE", k, "SAMPLES", "0"}));
      return sum;
    };
    for (std::int64_t i = 0; i < updates;) {
      std::vector<arrival> batch;
      for (int n = 0; n < 500 && i < updates; ++n, ++i)
        batch.push_back(
            arriving(500'000'000 + i * step, chat_key::chat(i + 1), "{}"));
      REQUIRE(s.accept(std::move(batch)).has_value());
    }
    const double each = double(used()) / double(updates);
    INFO(shards << " shards, every id of " << step << ": " << each
                << " bytes an update");
    CHECK(each <= 16);
    std::cout << "dedup on Redis, " << shards << " shards, 1 of " << step
              << " ids: " << each << " bytes an update\n";
    // And each of them is known: also those that changed from set to bitmap.
    auto r = s.accept({arriving(500'000'000, chat_key::chat(1)),
                       arriving(500'000'000 + (updates - 1) * step,
                                chat_key::chat(updates))})
                 .value();
    CHECK((!r[0].fresh && !r[1].fresh));
  }
}

TEST_CASE("a record on Redis vanishes some time after its state's end") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  const auto record = prefix("77", held.shard) + "c:42";
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = "S";
  t.expires = on.time.wall() + milliseconds{5'000};
  REQUIRE(s.commit(held, {t}).has_value());
  const auto left = std::stoll(on.server.ask({"PTTL", record}));
  CHECK(left > 25 * 3'600'000);
  CHECK(left <= 25 * 3'600'000 + 5'000);
  // A turn that puts a state without an end keeps it.
  t = turn_of(key, 1, accept_one(s, 2, key));
  t.state = "T";
  REQUIRE(s.commit(held, {t}).has_value());
  CHECK(on.server.ask({"PTTL", record}) == "-1");
}

TEST_CASE("a Redis that may lose what it answered is refused, unless allowed") {
  if (!have_redis())
    return;
  stage on{false};
  auto refused = store::open(on.how);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::incompatible);
  CHECK(refused.error().context.find("appendonly") != std::string::npos);
  on.how.allow_volatile = true;
  CHECK(store::open(on.how).has_value());

  stage evicting;
  evicting.server.ask({"CONFIG", "SET", "maxmemory", "100mb"});
  evicting.server.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  refused = store::open(evicting.how);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find("allkeys-lru") != std::string::npos);
}

TEST_CASE("a store on Redis knows its bot, its shards and its format") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  accept_one(s, 1, key);
  auto other = on.how;
  other.bot = "78";
  CHECK(sync_store{store::open(other).value()}.stats().journal == 0);
  other = on.how;
  other.shards = shard_count * 2;
  auto refused = store::open(other);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::incompatible);
  CHECK(refused.error().context.find("16 shards") != std::string::npos);
  on.server.ask({"HSET", "troupe:{77}:m", "format", "99"});
  refused = store::open(on.how);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::incompatible);
}

TEST_CASE("without memory a turn is not begun, and works when there is (G4)") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = std::string(1'000, 's');
  t.calls = {call_of(key, make_call_id(held.term, 1))};
  on.server.ask({"CONFIG", "SET", "maxmemory", "1mb"});
  const auto r = s.commit(held, {t});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == errc::unavailable);
  on.server.ask({"CONFIG", "SET", "maxmemory", "0"});
  CHECK(s.load_one(key).version == 0);
  CHECK(s.outbox(held.shard).value().empty());
  CHECK(s.backlog(held.shard).value().size() == 1);
  CHECK(s.commit(held, {t}).value().at(0).outcome ==
        turn_receipt::status::committed);
}

TEST_CASE("a damaged key costs its own call only") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto other = key_elsewhere(key);
  on.server.ask({"SET", prefix("77", shard_of_key(key)) + "j", "no stream"});
  auto bad = s.accept({arriving(1, key)});
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error().code == errc::corrupt);
  accept_one(s, 2, other);
}

TEST_CASE("a notice to another shard arrives once, whoever carries it (G4)") {
  if (!have_redis())
    return;
  stage on;
  const auto far = key_elsewhere(key);
  {
    auto s = on.open();
    const auto held = s.claim_one(shard_of_key(key));
    auto t = turn_of(key, 0, accept_one(s, 1, key));
    t.notices = {{far, "one"}, {key, "two"}, {far, "three"}};
    auto r = s.commit(held, {t}).value();
    REQUIRE(r.at(0).appended.size() == 3);
    CHECK(r[0].appended[0].key == far);
    CHECK(r[0].appended[1].key == key);
    CHECK(s.backlog(shard_of_key(far)).value().size() == 2);
    CHECK(s.release({held}).has_value());
  }
  // As a node leaves it that died before it carried a fourth one over, and
  // before it heard that the first had arrived.
  const auto p = prefix("77", shard_of_key(key));
  const auto to = std::to_string(shard_of_key(far).value);
  const auto text = [&](const char* what) {
    return "notice\t" + to + "\t42\t" + to_string(far) + "\n" + what;
  };
  on.server.ask(
      {"HSET", p + "p", to + ":1", text("one"), to + ":3", text("four")});
  on.server.ask({"HSET", p + "m", "sent:" + to, "3"});
  auto s = on.open();
  s.claim_one(shard_of_key(key), "another");
  CHECK(eventually([&] { return on.server.ask({"HLEN", p + "p"}) == "0"; }));
  auto all = s.backlog(shard_of_key(far)).value();
  REQUIRE(all.size() == 3);
  CHECK(all[2].body->find("four") != std::string::npos);
}

TEST_CASE(
    "a lease runs out by the server's clock, and goes on if nobody took "
    "it (G6)") {
  if (!have_redis())
    return;
  stage on;
  auto a = on.open();
  auto b = on.open();
  auto claim = [](sync_store& s, const char* node, milliseconds ttl) {
    return answer_of<std::vector<lease>>(
               [&](auto d) { s->claim({{3}}, node, ttl, d); })
        .value();
  };
  const auto first = claim(a, "a", milliseconds{60'000});
  REQUIRE(first.size() == 1);
  CHECK(claim(b, "b", milliseconds{60'000}).empty());
  auto renewed = answer_of<std::vector<lease>>(
      [&](auto d) { a->renew(first, milliseconds{1}, d); });
  REQUIRE(renewed.value().size() == 1);
  CHECK(eventually([&] { return !claim(b, "b", milliseconds{1}).empty(); }));
  CHECK(a.renew(first).value().empty());
  CHECK(a.commit(first[0], {}).error().code == errc::fenced);
  // b's has run out, too, and nobody has it.
  const auto again = claim(b, "b", milliseconds{1}).at(0);
  CHECK(eventually([&] {
    return answer_of<std::vector<lease>>(
               [&](auto d) { b->renew({again}, milliseconds{60'000}, d); })
               .value()
               .size() == 1;
  }));
  CHECK(claim(a, "a", milliseconds{1}).empty());
}

TEST_CASE(
    "an answer that a lost connection took is unknown, its repeat stale "
    "(G2)") {
  if (!have_redis())
    return;
  stage on;
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  // Turns, one after another, and a connection cut after every second step:
  // each is repeated until it is known, and done once.
  std::atomic<bool> over{false};
  std::atomic<unsigned> steps{0};
  std::jthread cutter{[&] {
    for (unsigned cut = 0; !over;) {
      if (steps < cut + 2) {
        std::this_thread::yield();
        continue;
      }
      cut = steps;
      on.server.ask({"CLIENT", "KILL", "TYPE", "normal"});
    }
  }};
  unsigned unknown = 0;
  bool good = true;
  constexpr std::uint64_t turns = 60;
  auto until_known = [&](auto what) {
    for (;;) {
      ++steps;
      auto r = what();
      if (r)
        return r;
      unknown += r.error().code == errc::unknown_outcome ? 1 : 0;
      if (r.error().code != errc::unknown_outcome &&
          r.error().code != errc::unavailable)
        return r;
    }
  };
  for (std::uint64_t i = 0; i < turns && good; ++i) {
    auto accepted = until_known(
        [&] { return s.accept({arriving(std::int64_t(i) + 1, key)}); });
    good = accepted.has_value();
    auto t = turn_of(key, i, {i + 1});
    t.state = std::to_string(i);
    t.calls = {call_of(key, make_call_id(held.term, std::uint32_t(i) + 1))};
    auto committed = until_known([&] { return s.commit(held, {t}); });
    good = good && committed.has_value();
  }
  over = true;
  cutter.join();
  CHECK(good);
  auto r = until_known([&] { return s.load({key}); });
  CHECK(r.value().at(0).version == turns);
  CHECK(until_known([&] { return s.outbox(held.shard); }).value().size() ==
        turns);
  CHECK(until_known([&] { return s.backlog(held.shard); }).value().empty());
  std::cout << "connections cut under " << turns << " turns: " << unknown
            << " outcomes unknown\n";
}
