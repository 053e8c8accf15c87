#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

// A chat is forgotten: all that is kept about it goes, and nothing else.

namespace {

constexpr auto committed = turn_receipt::status::committed;
constexpr auto stale = turn_receipt::status::stale;

std::int64_t next_update() {
  static std::int64_t n = 0;
  return ++n;
}

/// Commits a turn that leaves some of everything about `key`, with `mark` in
/// it; then one more update dies, and one more waits. The call's id.
call_id fill(sync_store& s, const lease& held, chat_key key, std::uint32_t nth,
             const std::string& mark, wall_time now) {
  auto t =
      turn_of(key, 0, accept_one(s, next_update(), key, "[\"" + mark + "\"]"));
  t.state = mark + " state";
  t.mode = mark + " mode";
  t.memo = mark + " memo";
  t.calls = {call_of(key, make_call_id(held.term, nth), mark + " label")};
  t.calls[0].body = make_payload("{\"text\":\"" + mark + "\"}");
  t.set = {{key, mark + " timer", now + milliseconds{5}, mark},
           {key, "later", now + std::chrono::hours{1}, ""}};
  audience_change a;
  a.key = key;
  a.tag = {"beta", "vip"};
  t.audience = {a};
  auto dies = turn_of(key, 1, accept_one(s, next_update(), key, mark));
  dies.dead = mark + " threw";
  const auto done = s.commit(held, {t, dies}).value();
  REQUIRE((done[0].outcome == committed && done[1].outcome == committed));
  accept_one(s, next_update(), key, mark + " waits");
  return t.calls[0].id;
}

void check_full(const holdings& h) {
  CHECK(h.records == 1);
  CHECK(h.entries == 1);
  CHECK(h.calls == 1);
  CHECK(h.timers == 2);
  CHECK(h.dead_letters == 1);
  CHECK(h.members == 1);
  CHECK(h.tags == 2);
  CHECK(h.sum() == 9);
}

seq_no tail_of(sync_store& s, const lease& held) {
  return s.renew({held}).value().at(0).tail;
}

}  // namespace

TEST_CASE("a forgotten chat leaves nothing, and others all they have",
          "[contract]") {
  TROUPE_EACH_STORE();
  const shard_id shard{3};
  const auto key = key_in(shard, 0);
  const auto other = key_in(shard, 1);
  auto held = s.claim_one(shard);
  CHECK(s.about(key).value().sum() == 0);
  fill(s, held, key, 1, "a", fixture.time.wall());
  fill(s, held, other, 2, "b", fixture.time.wall());
  check_full(s.about(key).value());

  check_full(s.forget(held, key, tail_of(s, held)).value());

  fixture.reopen();
  auto& later = *fixture;
  CHECK(later.about(key).value().sum() == 0);
  check_full(later.about(other).value());
  CHECK(later.load_one(key).version == 0);
  CHECK(later.load_one(key).labels.empty());
  CHECK(later.load_one(other).state == "b state");
  CHECK(later.timers(key).value().empty());
  const auto due =
      later.due({shard}, fixture.time.wall() + std::chrono::hours{2}).value();
  CHECK((due.due.size() == 2 && due.due[0].key == other));
  const auto calls = later.outbox(shard).value();
  CHECK((calls.size() == 1 && calls[0].from == other));
  const auto waiting = later.backlog(shard).value();
  CHECK((waiting.size() == 1 && waiting[0].key == other));
  const auto dead = later.dead_letters().value();
  CHECK((dead.size() == 1 && dead[0].key == other));
  const auto who = later.audience().value();
  CHECK((who.size() == 1 && who[0].key == other && who[0].tags.size() == 2));
  const auto f = later.stats();
  CHECK((f.journal == 1 && f.outbox == 1 && f.timers == 2 && f.chats == 1));
  CHECK(f.dead_letters == 1);
}

TEST_CASE("what comes after a chat was forgotten begins from nothing",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  fill(s, held, key, 1, "a", fixture.time.wall());
  const auto through = accept_one(s, next_update(), key, "forget me");
  const auto next = accept_one(s, next_update(), key, "hello again");
  CHECK(s.forget(held, key, through).value().entries == 2);
  const auto left = s.backlog(held.shard).value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].seq == next);
  CHECK(s.about(key).value().sum() == 1);

  auto t = turn_of(key, 0, next);
  t.state = "new";
  t.calls = {call_of(key, make_call_id(held.term, 9), "a label")};
  CHECK(s.commit(held, {t}).value().at(0).outcome == committed);
  const auto r = s.load_one(key);
  CHECK((r.version == 1 && r.state == "new" && r.mode.empty()));
  CHECK((r.labels.size() == 1 && r.labels[0].message_id == 0));
  CHECK(s.stats().chats == 1);
}

TEST_CASE("to forget again removes nothing", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  fill(s, held, key, 1, "a", fixture.time.wall());
  const auto tail = tail_of(s, held);
  CHECK(s.forget(held, key, tail).value().sum() == 9);
  CHECK(s.forget(held, key, tail).value().sum() == 0);
  CHECK(s.stats().chats == 0);
  CHECK(s.stats().journal == 0);
}

TEST_CASE("a stale owner forgets nobody (G6)", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  fill(s, held, key, 1, "a", fixture.time.wall());
  s.claim_one({3});
  CHECK(s.forget(held, key, {100}).error().code == errc::fenced);
  CHECK(s.about(key).value().sum() == 9);
}

TEST_CASE("a chat is forgotten by its own shard only", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one({3});
  CHECK(s.forget(held, key_in({4}), {100}).error().code == errc::bad_input);
}

TEST_CASE("what was under way when its chat was forgotten ends in nothing",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  const auto seq = accept_one(s, next_update(), key);
  auto t = turn_of(key, 0, seq);
  t.state = "S";
  t.calls = {call_of(key, make_call_id(held.term, 1), "l")};
  REQUIRE(s.commit(held, {t}).has_value());
  REQUIRE(s.forget(held, key, tail_of(s, held)).has_value());

  auto end = settled(t.calls[0], call_outcome::sent, 7);
  end.event = make_payload("{}");
  end.audience = audience_change{key, audience_status::blocked};
  end.campaign = 1;
  CHECK_FALSE(s.settle(held, {end}).value().at(0).has_value());
  CHECK(s.commit(held, {t}).value().at(0).outcome == stale);
  t.seq = {};
  t.fired = timer{key, "a timer", fixture.time.wall(), ""};
  CHECK(s.commit(held, {t}).value().at(0).outcome == stale);
  CHECK(s.about(key).value().sum() == 0);
  CHECK(s.tallies({1}).at(0).ended() == 0);
}

TEST_CASE("no trace of a forgotten chat is where the store keeps its data",
          "[contract]") {
  TROUPE_EACH_STORE();
  const shard_id shard{3};
  const auto other = key_in(shard, 1);
  auto key = chat_key::chat(7'700'123'456'000);
  while (shard_of_key(key) != shard)
    ++key.id;
  const auto id = std::to_string(key.id);
  auto held = s.claim_one(shard);
  fill(s, held, other, 2, "somebody else", fixture.time.wall());
  fill(s, held, key, 1, "deeply private", fixture.time.wall());
  // Its earlier states are the harder part: they are in free space.
  for (std::uint64_t version = 2; version < 40; ++version) {
    auto t = turn_of(key, version, accept_one(s, next_update(), key, id));
    t.state = "deeply private " + std::string(version * 300, 'x');
    REQUIRE(s.commit(held, {t}).has_value());
  }
  if (fixture.durable()) {
    CHECK(fixture.holds_text("deeply private"));
    CHECK(fixture.holds_text(id));
    held = fixture->claim_one(shard);
  }
  auto& later = *fixture;
  CHECK(later.forget(held, key, tail_of(later, held)).value().sum() == 9);
  CHECK_FALSE(fixture.holds_text("deeply private"));
  CHECK_FALSE(fixture.holds_text(id));
  CHECK((!fixture.durable() || fixture.holds_text("somebody else")));
}

TEST_CASE("to forget can be repeated when the answer was lost", "[contract]") {
  TROUPE_EACH_STORE();
  auto* plan = dynamic_cast<faulty*>(&*s);
  if (plan == nullptr)
    return;
  const auto key = key_in({3});
  const auto held = s.claim_one({3});
  fill(s, held, key, 1, "a", fixture.time.wall());
  const auto tail = tail_of(s, held);

  plan->at(plan->operations() + 1, {fault::what::fail});
  CHECK(s.forget(held, key, tail).error().code == errc::unavailable);
  check_full(s.about(key).value());

  plan->at(plan->operations() + 1, {fault::what::commit_then_error});
  CHECK(s.forget(held, key, tail).error().code == errc::unknown_outcome);
  CHECK(s.about(key).value().sum() == 0);
  CHECK(s.forget(held, key, tail).value().sum() == 0);
}
