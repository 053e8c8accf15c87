#include "sim/limits.hpp"

#include <algorithm>
#include <deque>
#include <random>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace std::chrono_literals;

namespace {

const mono_time t0{std::chrono::hours{1}};

}  // namespace

TEST_CASE("sliding window: it agrees with counting every entry") {
  std::mt19937_64 random{7};
  for (unsigned limit : {1u, 2u, 5u, 20u, 30u}) {
    sliding_window window{limit, 1s};
    std::deque<mono_time> entries;
    auto now = t0;
    for (int i = 0; i < 5000; ++i) {
      now += std::chrono::microseconds{random() % (2'000'000 / limit)};
      auto cost = static_cast<unsigned>(random() % 3) + 1;
      while (!entries.empty() && entries.front() + 1s <= now)
        entries.pop_front();
      auto needed = std::min(cost, limit);
      bool fits = entries.size() + needed <= limit;
      auto when = window.fits_at(now, cost);
      REQUIRE((when == now) == fits);
      if (!fits) {
        // Then, and not a moment earlier.
        REQUIRE(window.fits_at(when, cost) == when);
        REQUIRE(window.fits_at(when - 1ns, cost) == when);
        continue;
      }
      window.enter(now, cost);
      entries.insert(entries.end(), needed, now);
    }
  }
}

TEST_CASE("sliding window: two entries exactly one span apart both fit") {
  sliding_window window{1, 1s};
  window.enter(t0);
  CHECK(window.fits_at(t0 + 999'999'999ns) == t0 + 1s);
  CHECK(window.fits_at(t0 + 1s) == t0 + 1s);
}

TEST_CASE("sliding window: a limit of 0 is no limit") {
  sliding_window window{0, 1s};
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(window.fits_at(t0, 10) == t0);
    window.enter(t0, 10);
  }
}

TEST_CASE("limits: each scope is judged by its own window") {
  flood_control limits{{3, 1, 2}};
  CHECK(limits.judge(t0, 1, 1).by == limit_scope::none);
  limits.spend(t0, 1, 1);
  auto chat = limits.judge(t0 + 1ms, 1, 1);
  CHECK(chat.by == limit_scope::chat);
  CHECK(chat.retry_after == 1);
  limits.spend(t0 + 2ms, -5, 1);
  limits.spend(t0 + 3ms, -5, 1);
  CHECK(limits.judge(t0 + 4ms, 2, 1).by == limit_scope::global);
  CHECK(limits.judge(t0 + 1s, 2, 1).by == limit_scope::none);
  auto group = limits.judge(t0 + 2s, -5, 1);
  CHECK(group.by == limit_scope::group);
  CHECK(group.retry_after == 59);
  CHECK(limits.judge(t0 + 60s + 2ms, -5, 1).by == limit_scope::none);
}

TEST_CASE("G8: limits: a call during an announced retry_after is refused") {
  flood_control limits{{0, 0, 0}};
  limits.announce(t0 + 40ms, 1, 2);
  // The answer has not left yet: nobody can know.
  CHECK(limits.judge(t0 + 39ms, 1, 1).by == limit_scope::none);
  auto early = limits.judge(t0 + 1s, 1, 1);
  CHECK(early.by == limit_scope::frozen);
  CHECK(early.retry_after == 2);
  CHECK(limits.judge(t0 + 1s, 2, 1).by == limit_scope::none);
  CHECK(limits.judge(t0 + 2s + 39ms, 1, 1).by == limit_scope::frozen);
  CHECK(limits.judge(t0 + 2s + 40ms, 1, 1).by == limit_scope::none);
}

TEST_CASE("G8: limits: when many chats heard 429 the whole bot is meant") {
  flood_control limits{{0, 0, 0}};
  for (std::int64_t chat = 1; chat <= 4; ++chat)
    limits.announce(t0 + chat * 100ms, chat, 3);
  CHECK(limits.judge(t0 + 1s, 99, 1).by == limit_scope::none);
  limits.announce(t0 + 500ms, 5, 3);
  // Calls under way are let pass.
  CHECK(limits.judge(t0 + 700ms, 99, 1).by == limit_scope::none);
  CHECK(limits.judge(t0 + 760ms, 99, 1).by == limit_scope::bot);
  CHECK(limits.judge(t0 + 3s + 99ms, 99, 1).by == limit_scope::bot);
  CHECK(limits.judge(t0 + 3s + 100ms, 99, 1).by == limit_scope::none);
}

TEST_CASE("limits: 429s of few chats, or spread out, leave the bot alone") {
  flood_control limits{{0, 0, 0}};
  for (int i = 0; i < 20; ++i)
    limits.announce(t0 + i * 10ms, 1 + i % 4, 3);
  CHECK(limits.judge(t0 + 1s, 99, 1).by == limit_scope::none);
  for (int i = 0; i < 20; ++i)
    limits.announce(t0 + 1min + i * 300ms, 10 + i, 3);
  CHECK(limits.judge(t0 + 1min + 6s, 99, 1).by == limit_scope::none);
}
