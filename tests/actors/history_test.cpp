#include "actors/history.hpp"

#include <chrono>
#include <string>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;

namespace {

/// A node's counts, and its clock.
struct desk {
  desk() { tick({}); }

  void tick(history::levels at = {}, milliseconds passed = 1'000ms) {
    past.take(at, time.mono(), time.wall());
    time.advance(passed);
  }
  double recent(const char* name) const {
    return past.recent().at(name).to_number<double>();
  }
  std::int64_t error(const char* name) const {
    return past.recent().at("errors").at(name).to_number<std::int64_t>();
  }
  double latency(const char* of, const char* name) const {
    return past.recent().at("latency").at(of).at(name).to_number<double>();
  }
  json::array curve(const char* name) const {
    return past.curves().at(name).get_array();
  }

  metrics::registry registry;
  meters count{registry};
  history past{count};
  manual_clock time;
};

}  // namespace

TEST_CASE("a node without a past has no rate, and no division by it") {
  const desk d;
  CHECK(d.recent("turns_per_s") == 0);
  CHECK(d.recent("seconds") == 0);
  CHECK(d.latency("reply", "p99_ms") == 0);
  CHECK(d.curve("turns_per_s").empty());
}

TEST_CASE("recent rates are those of the last ten seconds alone") {
  desk d;
  d.count.turns_done.add(1'000);
  d.count.answers_429.add(7);
  d.tick();
  CHECK(d.recent("turns_per_s") == 1'000);
  CHECK(d.error("telegram_429") == 7);
  d.count.turns_done.add(20);
  d.count.turns_unhandled.add(10);
  d.tick({}, 1'000ms);
  CHECK(d.recent("turns_per_s") == 515);
  for (int i = 0; i < 8; ++i)
    d.tick();
  CHECK(d.recent("seconds") == 10);
  CHECK(d.recent("turns_per_s") == 103);
  d.tick();
  CHECK(d.recent("turns_per_s") == 3);
  CHECK(d.error("telegram_429") == 0);
  d.tick();
  CHECK(d.recent("turns_per_s") == 0);
}

TEST_CASE("a late sample counts as long as it took") {
  desk d;
  d.time.advance(3'000ms);
  d.count.calls_sent.add(40);
  d.tick();
  CHECK(d.recent("seconds") == 4);
  CHECK(d.recent("calls_per_s") == 10);
}

TEST_CASE("recent latencies forget what is long ago") {
  desk d;
  for (int i = 0; i < 100; ++i)
    d.count.reply_seconds.observe(25);
  d.tick();
  CHECK(d.latency("reply", "p50_ms") > 10'000);
  CHECK(d.latency("reply", "count") == 100);
  for (int i = 0; i < 9; ++i)
    d.tick();
  CHECK(d.latency("reply", "p50_ms") > 10'000);
  for (int i = 0; i < 100; ++i)
    d.count.reply_seconds.observe(0.004);
  d.tick();
  CHECK(d.latency("reply", "p99_ms") <= 5);
  CHECK(d.latency("reply", "p99_ms") > 3);
  CHECK(d.latency("commit", "count") == 0);
}

TEST_CASE("a curve's points stay as they are while time goes on") {
  desk d;
  for (int second = 1; second <= 12; ++second) {
    d.count.turns_done.add(second <= 5 ? 10 : 20);
    d.count.turns_threw.add();
    d.tick({second == 3 ? 900 : 1, second});
  }
  CHECK(d.curve("turns_per_s") == json::array{10.0, 20.0});
  CHECK(d.curve("handler") == json::array{5, 5});
  CHECK(d.curve("journal") == json::array{900, 1});
  CHECK(d.curve("outbox") == json::array{5, 10});
  CHECK(d.past.curves().at("step_s") == 5);
  CHECK(d.past.curves().at("until_ms") ==
        to_ms(d.time.wall() - milliseconds{1'000}));
}

TEST_CASE("ten minutes are kept, and what is older makes room") {
  desk d;
  for (int second = 1; second <= 1'203; ++second) {
    // By the point it falls into, so that each can be told from the others.
    d.count.calls_sent.add(std::uint64_t((second - 1) / 5));
    d.tick();
  }
  const auto curve = d.curve("calls_per_s");
  // 600 samples begin in the middle of a point and end in that of another.
  REQUIRE(curve.size() == 119);
  CHECK(curve.front() == 121.0);
  CHECK(curve.back() == 239.0);
  CHECK(d.curve("reply_p99_ms").size() == curve.size());
  CHECK(json::serialize(d.past.curves()).size() < 32 * 1024);
}
