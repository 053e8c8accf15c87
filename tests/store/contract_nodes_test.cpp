#include "store/gathering.hpp"
#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

std::vector<std::string> names(const result<std::vector<node_info>>& all) {
  std::vector<std::string> out;
  for (const auto& n : all.value())
    out.push_back(n.name);
  return out;
}

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("a lease can be taken by another once it has expired, not before",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one({3}, "a");
  fixture.pass(lease_time - fixture.moment());
  CHECK(s.claim({{3}}, "b").value().empty());
  CHECK(s.renew({held}).value().size() == 1);
  fixture.pass(lease_time - fixture.moment());
  CHECK(s.claim({{3}}, "b").value().empty());
  fixture.pass(fixture.moment());
  const auto taken = s.claim({{3}}, "b").value();
  if (fixture.exclusive()) {
    CHECK(taken.empty());  // "b" can't be another node
    return;
  }
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].term > held.term);
}

TEST_CASE("an expired lease that nobody took is renewed, and still commits",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(42);
  const auto held = s.claim_one(shard_of_key(key), "a");
  const auto seq = accept_one(s, 1, key);
  fixture.pass(10 * lease_time);
  auto still = s.renew({held}).value();
  REQUIRE(still.size() == 1);
  CHECK(still[0].term == held.term);
  CHECK(still[0].tail == seq);
  CHECK(s.claim({held.shard}, "b").value().empty());
  CHECK(s.commit(held, {turn_of(key, 0, seq)}).value()[0].outcome ==
        turn_receipt::status::committed);
}

TEST_CASE("who let a lease expire that another took is refused everything (G6)",
          "[contract]") {
  TROUPE_EACH_STORE();
  if (fixture.exclusive())
    return;
  const auto key = chat_key::chat(42);
  const auto old = s.claim_one(shard_of_key(key), "a");
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.calls = {call_of(key, make_call_id(old.term, 1))};
  REQUIRE(s.commit(old, {t}).has_value());
  const auto next = turn_of(key, 1, accept_one(s, 2, key));
  fixture.pass(lease_time + fixture.moment());
  const auto held = s.claim_one(old.shard, "b");
  CHECK(s.renew({old}).value().empty());
  CHECK(s.commit(old, {next}).error().code == errc::fenced);
  CHECK(s.settle(old, {settled(t.calls[0], call_outcome::sent)}).error().code ==
        errc::fenced);
  CHECK(s.release({old}).has_value());  // takes nothing from the new one
  CHECK(s.commit(held, {next}).value()[0].outcome ==
        turn_receipt::status::committed);
  CHECK(s.settle(held, {settled(t.calls[0], call_outcome::sent)}).has_value());
  CHECK(s.outbox(held.shard).value().empty());
}

TEST_CASE("a released shard is free at once", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one({5}, "a");
  CHECK(s.release({held}).has_value());
  CHECK(s.claim_one({5}, "b").term > held.term);
}

TEST_CASE("a node is alive for as long as it said, or until it leaves",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto alone = s.heartbeat({"b", "10.0.0.2:1", R"({"v":1})"}).value();
  REQUIRE(alone.size() == 1);
  CHECK(alone[0].name == "b");
  CHECK(alone[0].address == "10.0.0.2:1");
  CHECK(alone[0].details == R"({"v":1})");
  CHECK(names(s.heartbeat({"a", "", ""})) == list{"a", "b"});
  CHECK(names(s.heartbeat({"c", "", ""}, 3 * lease_time)) ==
        list{"a", "b", "c"});
  fixture.pass(lease_time - fixture.moment());
  CHECK(names(s.heartbeat({"a", "", ""})) == list{"a", "b", "c"});
  fixture.pass(fixture.moment());
  CHECK(names(s.heartbeat({"a", "", ""})) == list{"a", "c"});
  CHECK(s.leave("c").has_value());
  CHECK(s.leave("nobody").has_value());
  CHECK(names(s.heartbeat({"a", "", ""})) == list{"a"});
  CHECK(names(s.heartbeat({"b", "10.0.0.3:1", ""})) == list{"a", "b"});
  CHECK(s.heartbeat({"a", "", ""}).value()[1].address == "10.0.0.3:1");
}

TEST_CASE("a name has one holder, and its token grows with every new one",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto first = s.acquire("poller", "a").value();
  REQUIRE(first);
  CHECK_FALSE(s.acquire("poller", "b").value());
  CHECK(s.acquire("other", "b").value());
  fixture.pass(lease_time - fixture.moment());
  const auto again = s.acquire("poller", "a").value();
  REQUIRE(again);
  CHECK(again->token == first->token);
  fixture.pass(lease_time - fixture.moment());
  CHECK_FALSE(s.acquire("poller", "b").value());
  fixture.pass(fixture.moment());
  const auto second = s.acquire("poller", "b").value();
  REQUIRE(second);
  CHECK(second->token > first->token);
  CHECK_FALSE(s.acquire("poller", "a").value());
  CHECK(s.relinquish("poller", "a").has_value());  // not its own: skipped
  CHECK_FALSE(s.acquire("poller", "a").value());
  CHECK(s.relinquish("poller", "b").has_value());
  const auto third = s.acquire("poller", "a").value();
  REQUIRE(third);
  CHECK(third->token > second->token);
}

TEST_CASE("a name that is held for days is held after a restart, too",
          "[contract]") {
  TROUPE_EACH_STORE();
  if (!fixture.durable())
    return;
  constexpr std::chrono::hours week{7 * 24};
  const auto held = s.acquire("once/x", "a", week).value();
  REQUIRE(held);
  const auto gone = s.acquire("once/y", "a", week).value();
  REQUIRE(s.relinquish("once/y", "a").has_value());
  fixture.pass(week - std::chrono::hours{1});
  fixture.reopen();
  auto& later = *fixture;
  CHECK_FALSE(later.acquire("once/x", "b", week).value());
  CHECK(later.acquire("once/x", "a", week).value()->token == held->token);
  const auto taken = later.acquire("once/y", "b", week).value();
  REQUIRE(taken);
  CHECK(taken->token > gone->token);
  fixture.pass(week - std::chrono::hours{1});
  CHECK_FALSE(later.acquire("once/x", "b", week).value());
  fixture.pass(std::chrono::hours{2});
  CHECK(later.acquire("once/x", "b", week).value()->token > taken->token);
}

TEST_CASE("names that are over are in nobody's way, those held stay",
          "[contract]") {
  TROUPE_EACH_STORE();
  constexpr std::chrono::hours day{24};
  auto name = [](int n) { return "once/" + std::to_string(n); };
  for (int i = 0; i < 40; ++i)
    REQUIRE(s.acquire(name(i), "a", i % 4 == 0 ? 2 * day : day).value());
  fixture.pass(day + std::chrono::hours{1});
  // So many that every old one was looked at.
  for (int i = 40; i < 140; ++i)
    REQUIRE(s.acquire(name(i), "a", day).value());
  for (int i = 0; i < 40; ++i)
    CHECK(s.acquire(name(i), "b", day).value().has_value() == (i % 4 != 0));
}

TEST_CASE("names that are over do not pile up in memory") {
  test_clock time;
  gathering names{time};
  for (int i = 0; i < 10'000; ++i) {
    time.advance(std::chrono::seconds{10});
    CHECK(names.acquire(std::to_string(i), "a", std::chrono::minutes{1}));
  }
  // Those of eleven minutes, and what a walk of a quarter's pace leaves.
  CHECK(names.names() < 200);
}

TEST_CASE("those who open one shared memory see one store, each with its end") {
  options how;
  how.shards = shard_count;
  how.url = "memory:those who open one shared memory";
  sync_store a{open(how).value()};
  sync_store b{open(how).value()};
  const auto key = chat_key::chat(42);
  const auto seq = accept_one(a, 1, key);
  CHECK_FALSE(b.accept({arriving(1, key)}).value()[0].fresh);
  const auto held = a.claim_one(shard_of_key(key), "a");
  CHECK(b.claim({held.shard}, "b").value().empty());
  CHECK(names(a.heartbeat({"a", "", ""})) == list{"a"});
  CHECK(names(b.heartbeat({"b", "", ""})) == list{"a", "b"});
  a->close();
  CHECK(a.acquire("x", "a").error().code == errc::cancelled);
  CHECK(b.backlog(held.shard).value().at(0).seq == seq);
  auto other = how;
  other.shards = shard_count + 1;
  CHECK(open(other).error().code == errc::incompatible);
}
