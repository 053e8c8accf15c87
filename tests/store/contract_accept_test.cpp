#include <limits>

#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

TEST_CASE("an accepted update stands in its shard's journal as it came (G1)",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(42);
  auto a = arriving(7, key, "{\"update_id\":7,\n\"x\":\"\xF0\x9F\x98\x80\"}");
  auto r = s.accept({a}).value();
  REQUIRE(r.size() == 1);
  CHECK(r[0].fresh);
  CHECK(r[0].shard == shard_of_key(key));
  CHECK(r[0].seq == seq_no{1});
  fixture.reopen();
  auto& again = *fixture;
  auto found = again.backlog(shard_of_key(key)).value();
  REQUIRE(found.size() == 1);
  CHECK(found[0].seq == seq_no{1});
  CHECK(found[0].type == entry_kind::update);
  CHECK(found[0].key == key);
  CHECK(found[0].id == update_id{7});
  CHECK(found[0].accepted_at == a.at);
  CHECK(*found[0].body == *a.body);
}

TEST_CASE("a redelivered update changes nothing (G2)", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(5);
  accept_one(s, 100, key, "first");
  auto r = s.accept({arriving(100, key, "again")}).value();
  CHECK_FALSE(r[0].fresh);
  CHECK(r[0].seq == seq_no{0});
  CHECK(r[0].shard == shard_of_key(key));
  fixture.reopen();
  auto& later = *fixture;
  CHECK_FALSE(later.accept({arriving(100, key, "again")}).value()[0].fresh);
  auto found = later.backlog(shard_of_key(key)).value();
  REQUIRE(found.size() == 1);
  CHECK(*found[0].body == "first");
  CHECK(accept_one(later, 101, key) == seq_no{2});
}

TEST_CASE("of equal ids in one batch only the first is fresh", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(5);
  auto r = s.accept({arriving(1, key, "a"), arriving(1, key, "b")}).value();
  REQUIRE(r.size() == 2);
  CHECK(r[0].fresh);
  CHECK_FALSE(r[1].fresh);
  CHECK(*s.backlog(shard_of_key(key)).value().at(0).body == "a");
}

TEST_CASE("a batch is appended in update id order, answered in its own",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(9);
  auto r = s.accept({arriving(30, key), arriving(-4, key), arriving(10, key)})
               .value();
  REQUIRE(r.size() == 3);
  CHECK(r[0].seq == seq_no{3});
  CHECK(r[1].seq == seq_no{1});
  CHECK(r[2].seq == seq_no{2});
  auto found = s.backlog(shard_of_key(key)).value();
  REQUIRE(found.size() == 3);
  CHECK(found[0].id == update_id{-4});
  CHECK(found[2].id == update_id{30});
}

TEST_CASE("any int64 can be an update id, also lower ones", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(9);
  using edge = std::numeric_limits<std::int64_t>;
  const std::vector<std::int64_t> ids{
      2'000'000'000, 5,     4095,        4096,       0, -1,
      -4096,         -4097, edge::max(), edge::min()};
  for (auto id : ids)
    accept_one(s, id, key);
  fixture.reopen();
  for (auto id : ids)
    CHECK_FALSE((*fixture).accept({arriving(id, key)}).value()[0].fresh);
}

TEST_CASE("an id is forgotten after the window, not before", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(9);
  accept_one(s, 50, key);
  fixture.time.advance(dedup_window);
  CHECK_FALSE(s.accept({arriving(50, key)}).value()[0].fresh);
  fixture.time.advance(milliseconds{1} + fixture.slack());
  CHECK(s.accept({arriving(50, key)}).value()[0].fresh);
}

TEST_CASE("an arrival without a body is refused, and its batch with it",
          "[contract]") {
  TROUPE_EACH_STORE();
  auto bad = arriving(2, chat_key::chat(9));
  bad.body.reset();
  auto r = s.accept({arriving(1, chat_key::chat(9)), bad});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == errc::bad_input);
  CHECK(s.stats().journal == 0);
  CHECK(s.accept({}).value().empty());
}

TEST_CASE("the backlog comes in sequence, from a place, up to a limit",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(77);
  const auto shard = shard_of_key(key);
  for (int i = 1; i <= 10; ++i)
    accept_one(s, i, key);
  auto some = s.backlog(shard, {3}, 4).value();
  REQUIRE(some.size() == 4);
  CHECK(some.front().seq == seq_no{4});
  CHECK(some.back().seq == seq_no{7});
  CHECK(s.backlog(shard, {10}).value().empty());
  CHECK(s.backlog(shard, {~0ULL}).value().empty());
  CHECK(s.backlog(shard, {}, 0).value().empty());
  auto named = s.entries(shard, {{9}, {2}, {99}, {2}, {0}}).value();
  REQUIRE(named.size() == 2);
  CHECK(named[0].seq == seq_no{2});
  CHECK(named[1].seq == seq_no{9});
}

TEST_CASE("a shard that does not exist is refused", "[contract]") {
  TROUPE_EACH_STORE();
  const shard_id none{shard_count};
  CHECK(s.backlog(none).error().code == errc::bad_input);
  CHECK(s.entries(none, {{1}}).error().code == errc::bad_input);
  CHECK(s.outbox(none).error().code == errc::bad_input);
  CHECK(s.calls(none, {{1}}).error().code == errc::bad_input);
  CHECK(s.claim({none}).error().code == errc::bad_input);
  CHECK(s.due({none}, fixture.time.wall()).error().code == errc::bad_input);
  CHECK(s.commit({none, {1}, {}}, {}).error().code == errc::bad_input);
  CHECK(s.settle({none, {1}, {}}, {}).error().code == errc::bad_input);
}

TEST_CASE("a sequence is never used twice, also after a restart",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(3);
  auto held = s.claim_one(shard_of_key(key));
  const auto seq = accept_one(s, 1, key);
  CHECK(s.commit(held, {turn_of(key, 0, seq)}).value()[0].outcome ==
        turn_receipt::status::committed);
  CHECK(s.backlog(shard_of_key(key)).value().empty());
  fixture.reopen();
  CHECK(accept_one(*fixture, 2, key) == seq_no{2});
  CHECK((*fixture).claim_one(shard_of_key(key)).tail == seq_no{2});
}

TEST_CASE("an epoch grows with every claim, also after a restart (G6)",
          "[contract]") {
  TROUPE_EACH_STORE();
  CHECK(s->exclusive() == fixture.exclusive());
  CHECK(s->shards() == shard_count);
  const auto first = s.claim_one({3});
  const auto second = s.claim_one({3});
  CHECK(second.term > first.term);
  fixture.reopen();
  CHECK((*fixture).claim_one({3}).term > second.term);
}

TEST_CASE("a shard that another node holds is not taken", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one({3}, "a");
  CHECK(s.claim({{3}, {4}}, "b").value().size() == 1);
  CHECK(s.release({held}).has_value());
  CHECK(s.renew({held}).value().empty());
  CHECK(s.commit(held, {}).error().code == errc::fenced);
  CHECK(s.claim_one({3}, "b").term > held.term);
}

TEST_CASE("renewing tells the tail and drops what is lost", "[contract]") {
  TROUPE_EACH_STORE();
  const auto key = chat_key::chat(3);
  const auto old = s.claim_one(shard_of_key(key));
  const auto now = s.claim_one(shard_of_key(key));
  accept_one(s, 1, key);
  accept_one(s, 2, key);
  auto left = s.renew({old, now}).value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].term == now.term);
  CHECK(left[0].tail == seq_no{2});
  CHECK(s.release({old}).has_value());  // not held any more: skipped
  CHECK(s.renew({now}).value().size() == 1);
}
