#include "tests/actors/broadcast_rig.hpp"
#include "tests/actors/cluster_rig.hpp"
#include "tests/support/redis_server.hpp"

using namespace troupe;
using namespace troupe::testing;

// Campaigns on several nodes, and on a real Redis.

namespace {

constexpr std::int64_t members = 300;

auto bot() {
  return std::make_shared<counter_bot>();
}

std::unique_ptr<store::backend> redis_store(
    const redis_test::redis_server& at) {
  store::options o;
  o.url = at.url();
  o.shards = cluster_shards;
  o.bot = "news";
  return store::open(o).value();
}

/// Two nodes that know each other send a campaign; in its middle one goes.
template <class Open, class Go>
std::int64_t unknown_after(Open open, Go go, bool hurried) {
  telegram_double telegram;
  seed(*open(), members);
  const auto how = [&](const char* name) {
    return hurried ? hasty(name) : patient(name);
  };
  rig b{how("b"), bot(), open(), telegram.url()};
  auto a = std::make_unique<rig>(how("a"), bot(), open(), telegram.url());
  REQUIRE(settled({a.get(), &b}));
  CHECK(begin(*a, "moved", R"(,"rate":100)").at("id") == 1);
  CHECK(eventually([&] { return telegram.accepted() >= members / 3; }));
  go(a);
  REQUIRE(ends(b));
  check_each_once(telegram, b, members);
  return count(page_of(b), "unknown");
}

void leave(std::unique_ptr<rig>& node) {
  CHECK(node->node().drain(60s));
  node.reset();
}

void die(std::unique_ptr<rig>& node) {
  node.reset();  // without a drain: its leases run out
}

}  // namespace

TEST_CASE("G5: a campaign goes on when a node leaves, and nothing is unknown") {
  // Somebody must have the store open while nobody else has.
  const auto keep = way_to("campaign leaves");
  CHECK(unknown_after([] { return way_to("campaign leaves"); }, leave, false) ==
        0);
}

TEST_CASE("G5: a campaign goes on when a node dies") {
  const auto keep = way_to("campaign dies");
  // Of each chat at most the one call that was under way.
  CHECK(unknown_after([] { return way_to("campaign dies"); }, die, true) <=
        200);
}

TEST_CASE("G5: on a Redis a campaign goes on when a node leaves, or dies") {
  if (!redis_test::have_redis())
    return;
  const bool dies = GENERATE(false, true);
  redis_test::redis_settings how;
  how.append_only = true;
  redis_test::redis_server redis{how};
  const auto open = [&] { return redis_store(redis); };
  if (dies)
    CHECK(unknown_after(open, die, true) <= 200);
  else
    CHECK(unknown_after(open, leave, false) == 0);
}
