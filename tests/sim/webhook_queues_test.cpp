#include "sim/webhook_queues.hpp"

#include <map>
#include <set>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace std::chrono_literals;

namespace {

const mono_time t0{std::chrono::hours{1}};
const mono_time never = t0 + std::chrono::hours{24};
using fate = webhook_queues::fate;

// A webhook whose connections were opened long ago.
webhook_queues warm(webhook_options how = {}) {
  webhook_queues w{how};
  std::vector<webhook_queues::delivery> all;
  auto now = t0 - 5s;
  for (std::size_t i = 0; i < how.max_connections; ++i)
    w.load({-1 - static_cast<std::int64_t>(i)},
           -1'000'000 - static_cast<std::int64_t>(i), never);
  auto first = w.next(now);
  REQUIRE(first);
  REQUIRE(w.done(*first, 200, std::nullopt, now) == fate::delivered);
  for (; all.size() + 1 < how.max_connections; now += 100ms)
    while (auto d = w.next(now))
      all.push_back(*d);
  for (auto& d : all)
    w.done(d, 200, std::nullopt, now);
  REQUIRE(w.loaded() == 0);
  REQUIRE(now < t0);
  return w;
}

}  // namespace

TEST_CASE("G3: webhook: one queue is strictly in order, one in flight") {
  auto w = warm();
  w.load({1}, 7, never);
  w.load({2}, 7, never);
  auto one = w.next(t0);
  REQUIRE(one);
  CHECK(one->id == update_id{1});
  CHECK_FALSE(w.next(t0));
  CHECK(w.done(*one, 500, std::nullopt, t0) == fate::retry);
  auto again = w.next(t0);
  REQUIRE(again);
  CHECK(again->id == update_id{1});
  CHECK(again->attempt == 2);
  CHECK(w.done(*again, 200, std::nullopt, t0) == fate::delivered);
  CHECK(w.next(t0)->id == update_id{2});
}

TEST_CASE("webhook: queues run in parallel, up to the connections") {
  auto w = warm({3, 1.0, 0, 1});
  for (int i = 0; i < 6; ++i)
    w.load({i + 1}, i, never);
  CHECK_FALSE(w.wants_more());  // twice the connections
  std::set<std::int64_t> queues;
  std::optional<webhook_queues::delivery> last;
  while (auto d = w.next(t0)) {
    queues.insert(d->queue);
    last = d;
  }
  CHECK(queues.size() == 3);
  CHECK(w.in_flight() == 3);
  w.done(*last, 200, std::nullopt, t0);
  CHECK(w.next(t0));
  CHECK_FALSE(w.next(t0));
}

TEST_CASE("webhook: a failing head is tried again after 0, 2, 4, 8... s") {
  auto w = warm();
  w.load({1}, 7, never);
  auto now = t0;
  auto next_failure = [&] {
    auto d = w.next(now);
    REQUIRE(d);
    REQUIRE(w.done(*d, 503, std::nullopt, now) == fate::retry);
  };
  next_failure();
  for (auto delay : {0s, 2s, 4s, 8s, 16s, 32s}) {
    if (delay > 0s) {
      CHECK_FALSE(w.next(now + delay - 1ms));
      CHECK(w.wake(now) == now + delay);
    }
    now += delay;
    next_failure();
  }
  // From here on between 60 and 120 s.
  for (int i = 0; i < 5; ++i) {
    auto when = w.wake(now);
    REQUIRE(when);
    CHECK(*when >= now + 60s);
    CHECK(*when <= now + 120s);
    now = *when;
    next_failure();
  }
}

TEST_CASE("webhook: Retry-After replaces the delay and does not let it grow") {
  auto w = warm();
  w.load({1}, 7, never);
  auto now = t0;
  for (int i = 0; i < 5; ++i) {
    auto d = w.next(now);
    REQUIRE(d);
    w.done(*d, 503, 3u, now);
    REQUIRE(w.wake(now) == now + 3s);
    now += 3s;
  }
  w.done(*w.next(now), 503, std::nullopt, now);
  CHECK(w.next(now));  // the first failure that counts: at once
}

TEST_CASE("webhook: a blocked queue does not hold up others") {
  auto w = warm();
  w.load({1}, 7, never);
  w.load({2}, 7, never);
  w.load({3}, 8, never);
  auto bad = w.next(t0);
  w.done(*bad, 500, std::nullopt, t0);
  auto now = t0;
  for (int i = 0; i < 2; ++i) {
    auto d = w.next(now);
    REQUIRE(d);
    if (d->queue == 8)
      w.done(*d, 200, std::nullopt, now);
    else
      w.done(*d, 500, std::nullopt, now);
  }
  CHECK(w.loaded() == 2);
  CHECK(w.wake(now) == t0 + 2s);
}

TEST_CASE("webhook: an update is dropped when its life ends before a retry") {
  auto w = warm();
  w.load({1}, 7, t0 + 5s);
  w.load({2}, 7, never);
  auto now = t0;
  std::vector<fate> fates;
  for (auto delay : {0s, 0s, 2s}) {
    now += delay;
    auto d = w.next(now);
    REQUIRE(d);
    REQUIRE(d->id == update_id{1});
    fates.push_back(w.done(*d, 500, std::nullopt, now));
  }
  CHECK(fates == std::vector<fate>{fate::retry, fate::retry, fate::dropped});
  CHECK(w.next(now)->id == update_id{2});
}

TEST_CASE("webhook: only 2xx counts as delivered") {
  for (auto status : {0u, 199u, 300u, 302u, 404u, 500u}) {
    auto w = warm();
    w.load({1}, 7, never);
    INFO(status);
    CHECK(w.done(*w.next(t0), status, std::nullopt, t0) == fate::retry);
  }
  for (auto status : {200u, 204u, 299u}) {
    auto w = warm();
    w.load({1}, 7, never);
    INFO(status);
    CHECK(w.done(*w.next(t0), status, std::nullopt, t0) == fate::delivered);
  }
}

TEST_CASE("webhook: 410 for 23 hours deletes the webhook") {
  auto w = warm();
  w.load({1}, 7, t0 + std::chrono::hours{48});
  auto now = t0;
  auto last = fate::retry;
  while (now < t0 + std::chrono::hours{25}) {
    auto d = w.next(now);
    if (d)
      last = w.done(*d, 410, std::nullopt, now);
    if (last == fate::given_up)
      break;
    now = std::max(*w.wake(now), now);
  }
  CHECK(last == fate::given_up);
  CHECK(now > t0 + std::chrono::hours{23});
}

TEST_CASE("webhook: connections start with one, then ten per half second") {
  webhook_queues w{{40, 1.0, 0, 1}};
  for (int i = 0; i < 80; ++i)
    w.load({i + 1}, i, never);
  auto first = w.next(t0);
  REQUIRE(first);
  CHECK_FALSE(w.next(t0));
  CHECK_FALSE(w.next(t0 + 1s));
  w.done(*first, 200, std::nullopt, t0 + 1s);
  std::map<int, int> opened;  // by half second
  for (int step = 0; step < 8; ++step)
    while (w.next(t0 + 1s + step * 500ms))
      ++opened[step];
  // The first connection is one of the 40. It opened over half a second ago.
  CHECK(opened[0] == 11);
  CHECK(opened[1] == 10);
  CHECK(opened[2] == 10);
  CHECK(opened[3] == 9);
  CHECK(opened[4] == 0);
}

TEST_CASE("webhook: after an outage delivery starts over with one connection") {
  auto w = warm();
  for (int i = 0; i < 60; ++i)
    w.load({i + 1}, i, never);
  w.pause();
  CHECK_FALSE(w.next(t0 + 1s));
  CHECK_FALSE(w.wake(t0 + 1s));
  w.restart(t0 + 30s);
  auto first = w.next(t0 + 30s);
  REQUIRE(first);
  CHECK_FALSE(w.next(t0 + 30s));
  w.done(*first, 200, std::nullopt, t0 + 30s + 10ms);
  int more = 0;
  while (w.next(t0 + 30s + 10ms))
    ++more;
  CHECK(more == 10);
}

TEST_CASE("webhook: a dead bot is tried over one connection every 2 s") {
  auto w = warm({40, 1.0, 0, 1});
  for (int i = 0; i < 60; ++i)
    w.load({i + 1}, i, never);
  // Refused connections use themselves up; nothing succeeds for over 10 s.
  auto now = t0;
  int attempts_late = 0;
  for (; now < t0 + 40s; now += 100ms)
    while (auto d = w.next(now)) {
      w.done(*d, 0, std::nullopt, now);
      if (now >= t0 + 20s)
        ++attempts_late;
    }
  CHECK(attempts_late >= 9);
  CHECK(attempts_late <= 11);
}

TEST_CASE("webhook: resent updates come again once, with the same id") {
  webhook_queues w{{40, 1.0, 1.0, 1}};
  w.load({1}, 7, never);
  w.load({2}, 7, never);
  std::vector<std::int64_t> seen;
  std::vector<bool> resends;
  while (auto d = w.next(t0)) {
    seen.push_back(d->id.value);
    resends.push_back(d->resend);
    auto f = w.done(*d, 200, std::nullopt, t0);
    CHECK(f == (d->resend ? fate::delivered : fate::again));
  }
  CHECK(seen == std::vector<std::int64_t>{1, 2, 1, 2});
  CHECK(resends == std::vector<bool>{false, false, true, true});
  CHECK(w.loaded() == 0);
}

TEST_CASE("webhook: the time scale shortens every delay") {
  webhook_queues fast{{40, 0.01, 0, 1}};
  fast.load({1}, 7, never);
  auto now = t0;
  for (int i = 0; i < 2; ++i) {
    auto d = fast.next(now);
    REQUIRE(d);
    fast.done(*d, 500, std::nullopt, now);
  }
  CHECK(fast.wake(now) == now + 20ms);
}
