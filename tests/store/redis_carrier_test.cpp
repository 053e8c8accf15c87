#include "tests/store/cutting_proxy.hpp"
#include "tests/store/fixture.hpp"
#include "tests/support/redis_server.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using redis_test::have_redis;
using redis_test::redis_server;
using moment = cutting_proxy::moment;

namespace {

const chat_key key = chat_key::chat(42);

/// A store whose connection can be cut.
struct cut_stage {
  cut_stage() {
    how.url = "redis://127.0.0.1:" + std::to_string(proxy.port());
    how.bot = "77";
    how.shards = shard_count;
    how.time = &time;
    far = key_in({static_cast<std::uint16_t>((shard_of_key(key).value + 1) %
                                             shard_count)});
    store.emplace(open(how).value());
  }

  /// Cuts at the next run that has a part of this operation.
  void cut_at(const std::string& operation, moment when) {
    proxy.cut("\r\n" + operation + "\r\n", when);
  }

  /// What was sent to other shards, and has not been seen to arrive.
  std::string on_the_way() {
    const auto s = std::to_string(shard_of_key(key).value);
    return server.ask({"HLEN", "troupe:{77:" + s + "}:p"});
  }

  redis_server server{{.append_only = true}};
  cutting_proxy proxy{server.port()};
  test_clock time;
  options how;
  chat_key far;  ///< a chat of another shard
  std::optional<sync_store> store;
};

}  // namespace

TEST_CASE(
    "a notice to another shard arrives once, whichever answer is lost "
    "(G4)") {
  if (!have_redis())
    return;
  const std::string at =
      GENERATE(as<std::string>{}, "commit", "take_in", "arrived");
  const auto when = GENERATE(moment::unheard, moment::answered);
  INFO("cut at " << at
                 << (when == moment::unheard ? ", unheard" : ", answered"));
  cut_stage on;
  auto& s = *on.store;
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.notices = {{on.far, "one"}};
  // A read that shares the fate of what is cut says nothing.
  const auto arrived = [&](std::size_t count) {
    const auto all = s.backlog(shard_of_key(on.far));
    return all && all->size() == count;
  };
  on.cut_at(at, when);
  auto r = s.commit(held, {t});
  if (at == "commit") {
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code == errc::unknown_outcome);
    // Nobody repeats it, and yet what was done is seen to its end.
    if (when == moment::answered)
      CHECK(eventually([&] { return arrived(1); }));
    r = s.commit(held, {t});
  }
  REQUIRE(r.has_value());
  CHECK((r->at(0).outcome == turn_receipt::status::stale) ==
        (at == "commit" && when == moment::answered));
  CHECK(eventually([&] { return arrived(1); }));
  CHECK(eventually([&] { return on.proxy.cuts() == 1; }));
  CHECK(eventually([&] { return on.on_the_way() == "0"; }));
  // Also not once more by who comes next.
  REQUIRE(s.release({held}).has_value());
  s.claim_one(held.shard, "another");
  CHECK(arrived(1));
  CHECK(s.load_one(key).version == 1);
}

TEST_CASE(
    "what a settlement tells another shard arrives, its answer lost or "
    "not (G4)") {
  if (!have_redis())
    return;
  const auto when = GENERATE(moment::unheard, moment::answered);
  INFO((when == moment::unheard ? "unheard" : "answered"));
  cut_stage on;
  auto& s = *on.store;
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.calls = {call_of(key, make_call_id(held.term, 1))};
  t.calls[0].to = on.far;
  REQUIRE(s.commit(held, {t}).has_value());
  auto refused = settled(t.calls[0], call_outcome::failed);
  refused.audience = audience_change{on.far, audience_status::blocked, ""};
  on.cut_at("settle", when);
  auto r = s.settle(held, {refused});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == errc::unknown_outcome);
  CHECK(on.proxy.cuts() == 1);
  const auto told = [&] {
    const auto all = s.audience().value();
    return all.size() == 1 && all[0].key == on.far &&
           all[0].status == audience_status::blocked;
  };
  if (when == moment::answered)
    CHECK(eventually(told));
  REQUIRE(s.settle(held, {refused}).has_value());
  CHECK(eventually(told));
  CHECK(eventually([&] { return on.on_the_way() == "0"; }));
  CHECK(s.outbox(held.shard).value().empty());
}
