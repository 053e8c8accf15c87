#include "actors/road_queue.hpp"

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;

namespace {

road_hint hint_of(std::uint64_t seq, std::size_t bytes) {
  road_hint h;
  h.seq = seq;
  h.has_body = true;
  h.body.assign(bytes, 'x');
  return h;
}

store::entry an_entry() {
  store::entry e;
  e.seq = {5};
  e.type = store::entry_kind::notice;
  e.key = chat_key::chat(42);
  e.id = {7};
  e.accepted_at = from_ms(1'234'567);
  e.body = store::make_payload(std::string{"{}\0\xff", 4});
  return e;
}

}  // namespace

TEST_CASE("hints leave in the order they came, in batches that are confirmed") {
  road_queue q;
  std::uint64_t came = 0, left = 0;
  while (came < 3 * road_queue::batch_hints)
    REQUIRE(q.offer(hint_of(++came, 1)));
  while (auto batch = q.next()) {
    CHECK(batch->what.size() <= road_queue::batch_hints);
    for (auto& h : batch->what)
      CHECK(h.seq == ++left);
    q.taken(batch->number);
  }
  CHECK(left == came);
  CHECK(q.bytes() == 0);
  CHECK(q.under_way() == 0);
}

TEST_CASE("while a batch is under way, only full ones follow it") {
  road_queue q;
  std::uint64_t came = 0;
  REQUIRE(q.offer(hint_of(++came, 1)));
  const auto first = q.next();
  REQUIRE(first.has_value());
  for (std::size_t i = 1; i < road_queue::batch_hints; ++i)
    REQUIRE(q.offer(hint_of(++came, 1)));
  CHECK_FALSE(q.next().has_value());
  REQUIRE(q.offer(hint_of(++came, 1)));
  const auto full = q.next();
  REQUIRE(full.has_value());
  CHECK(full->what.size() == road_queue::batch_hints);
  REQUIRE(q.offer(hint_of(++came, 1)));
  q.taken(full->number);
  CHECK_FALSE(q.next().has_value());
  q.taken(first->number);
  CHECK(q.next().has_value());
  // By weight, too.
  for (std::size_t bytes = 0; bytes < road_queue::batch_bytes; bytes += 10'000)
    REQUIRE(q.offer(hint_of(++came, 10'000)));
  CHECK(q.next().has_value());
}

TEST_CASE("G11: for a node that confirms nothing, what is kept has a bound") {
  road_queue q;
  std::size_t sent = 0, dropped = 0;
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    if (!q.offer(hint_of(i, 10'000)))
      ++dropped;
    while (auto batch = q.next())
      for (auto& h : batch->what)
        sent += weight_of(h);
  }
  CHECK(q.under_way() == road_queue::most_batches);
  CHECK(sent <=
        road_queue::most_batches * (road_queue::batch_bytes + longest_hint));
  CHECK(q.bytes() <= road_queue::most_bytes);
  CHECK(dropped > 9'000);
  // It lives after all: one confirmation, one batch.
  q.taken(1);
  CHECK(q.next().has_value());
  CHECK(!q.next().has_value());
}

TEST_CASE("a road that is closed forgets what was for it") {
  road_queue q;
  for (std::uint64_t i = 1; i <= 5'000; ++i)
    q.offer(hint_of(i, 100));
  while (q.next()) {
  }
  const auto waiting = q.waiting();
  CHECK(waiting > 0);
  CHECK(q.clear() == waiting);
  CHECK(q.bytes() == 0);
  CHECK(q.offer(hint_of(1, 1)));
  CHECK(q.next().has_value());
}

TEST_CASE("an entry crosses as it is") {
  const auto e = an_entry();
  const auto shard = shard_of(e.key, 32);
  auto got = to_entry(to_hint(shard, e), 32).value();
  CHECK(got.seq == e.seq);
  CHECK(got.type == e.type);
  CHECK(got.key == e.key);
  CHECK(got.id == e.id);
  CHECK(got.accepted_at == e.accepted_at);
  CHECK(*got.body == *e.body);
}

TEST_CASE("a long body stays at home") {
  auto e = an_entry();
  e.body = store::make_payload(std::string(longest_hint + 1, 'x'));
  const auto h = to_hint(shard_of(e.key, 32), e);
  CHECK(h.body.empty());
  CHECK(!to_entry(h, 32).value().body);
}

TEST_CASE("what is no entry of this store is refused") {
  const auto e = an_entry();
  const auto good = to_hint(shard_of(e.key, 32), e);
  REQUIRE(to_entry(good, 32).has_value());
  auto bad = good;
  bad.seq = 0;
  CHECK(!to_entry(bad, 32));
  bad = good;
  bad.type = 99;
  CHECK(!to_entry(bad, 32));
  bad = good;
  bad.key_type = 99;
  CHECK(!to_entry(bad, 32));
  bad = good;
  bad.shard = 32;
  CHECK(!to_entry(bad, 32));
  bad = good;
  bad.shard = static_cast<std::uint16_t>((good.shard + 1) % 32);
  CHECK(!to_entry(bad, 32));
}
