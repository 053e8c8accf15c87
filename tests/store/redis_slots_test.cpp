#include "store/redis_slots.hpp"

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::store::redis;

namespace {

reply integer(std::int64_t n) {
  reply r;
  r.type = reply::kind::integer;
  r.number = n;
  return r;
}

reply text(std::string s) {
  reply r;
  r.type = reply::kind::text;
  r.text = std::move(s);
  return r;
}

reply list(std::vector<reply> items) {
  reply r;
  r.type = reply::kind::list;
  r.items = std::move(items);
  return r;
}

reply node(std::string host, int port) {
  return list({text(std::move(host)), integer(port), text("id")});
}

const address asked{"10.0.0.9", 7000};

}  // namespace

TEST_CASE("keys have the slots that Redis Cluster gives them") {
  // The specification's own check value, and CLUSTER KEYSLOT of Redis 7.0.
  CHECK(slot_of("123456789") == 0x31C3 % 16384);
  CHECK(slot_of("") == 0);
  CHECK(slot_of("foo") == 12182);
  CHECK(slot_of("somekey") == 11058);
}

TEST_CASE("only a key's first non-empty hash tag counts") {
  CHECK(slot_of("troupe:{bot:7}:journal") == slot_of("bot:7"));
  CHECK(slot_of("troupe:{bot:7}:outbox") == slot_of("bot:7"));
  CHECK(slot_of("foo{}{bar}") == 8363);  // all of it
  CHECK(slot_of("foo{{bar}}zap") == slot_of("{bar"));
  CHECK(slot_of("foo{bar}{zap}") == slot_of("bar"));
  CHECK(slot_of("foo{bar") != slot_of("bar"));
  CHECK(slot_of("a}b{c}") == slot_of("c"));
}

TEST_CASE("CLUSTER SLOTS tells who serves what") {
  const auto got = slot_map::parse(
      list({list({integer(0), integer(99), node("a", 1), node("ra", 11)}),
            list({integer(200), integer(16383), node("b", 2), node("ra", 11)}),
            list({integer(100), integer(100), node("a", 1)})}),
      asked);
  REQUIRE(got.has_value());
  CHECK(*got->owner(0) == address{"a", 1});
  CHECK(*got->owner(100) == address{"a", 1});
  CHECK(got->owner(101) == nullptr);
  CHECK(*got->owner(200) == address{"b", 2});
  CHECK(*got->owner(16383) == address{"b", 2});
  CHECK(got->primaries() == std::vector<address>{{"a", 1}, {"b", 2}});
  CHECK(got->replicas() == std::vector<address>{{"ra", 11}});
  CHECK(got->uncovered() == 99);
}

TEST_CASE("a node that does not know its address is whom we asked") {
  const auto got = slot_map::parse(
      list({list({integer(0), integer(16382), node("", 7001)}),
            list({integer(16383), integer(16383),
                  list({reply{}, integer(7002), text("id")})})}),
      asked);
  REQUIRE(got.has_value());
  CHECK(*got->owner(5) == address{"10.0.0.9", 7001});
  CHECK(*got->owner(16383) == address{"10.0.0.9", 7002});
}

TEST_CASE("a slot that moved has its new owner") {
  slot_map map;
  CHECK(map.uncovered() == slot_count);
  map.assign(7, {"a", 1});
  map.assign(8, {"b", 1});
  map.assign(7, {"b", 1});
  CHECK(*map.owner(7) == address{"b", 1});
  CHECK(map.primaries() == std::vector<address>{{"b", 1}});
}

TEST_CASE("an answer to CLUSTER SLOTS that makes no sense is refused") {
  const std::vector<reply> bad{
      text("x"),
      reply{},
      list({text("x")}),
      list({list({integer(0), integer(1)})}),
      list({list({integer(1), integer(0), node("a", 1)})}),
      list({list({integer(-1), integer(0), node("a", 1)})}),
      list({list({integer(0), integer(16384), node("a", 1)})}),
      list({list({integer(0), integer(1), node("a", 0)})}),
      list({list({integer(0), integer(1), node("a", 65536)})}),
      list({list({integer(0), integer(1), list({text("a")})})}),
      list({list({integer(0), integer(1), node("a", 1), text("r")})}),
      list({list({text("0"), integer(1), node("a", 1)})}),
  };
  for (const auto& one : bad) {
    const auto got = slot_map::parse(one, asked);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == errc::unavailable);
  }
}
