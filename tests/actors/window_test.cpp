#include "actors/window.hpp"

#include <deque>
#include <random>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;

namespace {

mono_time at(milliseconds t) {
  return mono_time{1h} + t;
}

}  // namespace

TEST_CASE("G7: no sliding window holds more than the limit, judged at arrival",
          "[limits]") {
  // Calls leave when the window says so, arrive anywhere between departure and
  // answer, and are answered in any order: whatever the delays, no span of a
  // second may hold more than five arrivals.
  std::mt19937 random{7};
  for (int round = 0; round < 50; ++round) {
    window w{5, 1000ms, 1000ms};
    struct flying {
      window::ticket ticket;
      mono_time answered;
    };
    std::vector<flying> under_way;
    std::vector<mono_time> arrivals;
    auto now = at(0ms);
    std::uniform_int_distribution<int> latency{0, 400};
    for (int n = 0; n < 200;) {
      auto free = w.earliest(now);
      auto next = free;
      for (auto& f : under_way)
        next = std::min(next, f.answered);
      now = std::max(now, next);
      std::erase_if(under_way, [&](auto& f) {
        if (f.answered > now)
          return false;
        w.answered(f.ticket, now);
        return true;
      });
      if (w.earliest(now) > now)
        continue;
      auto ticket = w.take(now);
      auto out = milliseconds{latency(random)};
      arrivals.push_back(now + out);
      under_way.push_back({ticket, now + out + milliseconds{latency(random)}});
      ++n;
    }
    std::sort(arrivals.begin(), arrivals.end());
    for (std::size_t i = 5; i < arrivals.size(); ++i)
      REQUIRE(arrivals[i] - arrivals[i - 5] >= 1000ms);
  }
}

TEST_CASE("a window is used to the full when answers are quick", "[limits]") {
  window w{30, 1000ms, 1000ms};
  auto now = at(0ms);
  int sent = 0;
  while (now < at(60s)) {
    if (w.earliest(now) <= now) {
      auto t = w.take(now);
      w.answered(t, now + 1ms);
      ++sent;
    } else {
      now = w.earliest(now);
    }
  }
  CHECK(sent >= 30 * 60 * 97 / 100);
  CHECK(sent <= 30 * 60 + 30);
}

TEST_CASE("a call without an answer holds its slot for margin and period",
          "[limits]") {
  window w{1, 1000ms, 300ms};
  w.take(at(0ms));
  CHECK(w.earliest(at(10ms)) == at(1300ms));
  CHECK(w.earliest(at(1300ms)) == at(1300ms));
}

TEST_CASE("a call that certainly did not arrive frees its slot at once",
          "[limits]") {
  window w{1, 1000ms, 300ms};
  auto t = w.take(at(0ms));
  w.answered(t, at(5ms), false);
  CHECK(w.earliest(at(5ms)) == at(5ms));
}

TEST_CASE("a late answer does not lengthen what the margin allows",
          "[limits]") {
  window w{1, 1000ms, 300ms};
  auto t = w.take(at(0ms));
  w.answered(t, at(8s));
  CHECK(w.earliest(at(1300ms)) == at(1300ms));
}

TEST_CASE("an album of n spends n, over the limit one window after the other",
          "[limits]") {
  window w{20, 60'000ms, 0ms};
  w.take(at(0ms), 10);
  CHECK(w.earliest(at(0ms), 10) == at(0ms));
  CHECK(w.earliest(at(0ms), 11) > at(0ms));

  window one{1, 1000ms, 0ms};
  one.take(at(0ms), 10);
  CHECK(one.earliest(at(1ms)) >= at(10s));
}

TEST_CASE("no limit never waits and remembers nothing", "[limits]") {
  window w{0, 1000ms, 1000ms};
  for (int i = 0; i < 1000; ++i) {
    CHECK(w.earliest(at(0ms)) == at(0ms));
    w.take(at(0ms));
  }
  CHECK(w.clear_at() <= at(0ms));
}

TEST_CASE("what was spent before a restart counts", "[limits]") {
  window w{20, 60'000ms, 1000ms};
  w.spend(at(-30s), 20);
  CHECK(w.earliest(at(0ms)) > at(29s));
  CHECK(w.earliest(at(0ms)) < at(31s));
}

TEST_CASE("a 429 lowers the rate, quiet time raises it back", "[limits]") {
  window w{1, 1000ms, 0ms};
  w.slow_down(at(0ms));
  CHECK(w.factor(at(0ms)) == Approx(0.8));
  auto t = w.take(at(0ms));
  w.answered(t, at(0ms));
  CHECK(w.earliest(at(1ms)) >= at(1250ms));
  for (int i = 0; i < 50; ++i)
    w.slow_down(at(0ms));
  CHECK(w.factor(at(0ms)) == Approx(0.2));
  CHECK(w.factor(at(30s)) > 0.2);
  CHECK(w.factor(at(10min)) == 1.0);
  CHECK(w.clear_at() <= at(10min));
  CHECK(w.clear_at() > at(60s));
}

TEST_CASE("another limit counts what was sent under the one before") {
  window w{3, 1s, 0ms};
  const mono_time now{1h};
  for (int i = 0; i < 3; ++i)
    w.take(now);
  w.configure(2, now);
  CHECK(w.earliest(now) > now);
  CHECK(w.used(now) == 3);
  w.configure(5, now);
  CHECK(w.earliest(now, 2) == now);
  CHECK(w.earliest(now, 3) > now);
  w.configure(0, now);
  CHECK(w.earliest(now, 100) == now);
  // Nobody counted while there was none.
  w.configure(5, now);
  CHECK(w.earliest(now) > now);
  CHECK(w.earliest(now + 2s, 5) == now + 2s);
}
