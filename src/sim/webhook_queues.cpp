#include "sim/webhook_queues.hpp"

#include <algorithm>

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

constexpr unsigned opens_per_step = 10;
constexpr auto open_step = 500ms;
constexpr auto lone_step = 2s;
constexpr auto active_for = 10s;
constexpr auto gone_for = std::chrono::hours{23};

}  // namespace

webhook_queues::webhook_queues(webhook_options how)
    : how_{how},
      random_{how.seed},
      opened_{opens_per_step, scaled(open_step)} {}

std::chrono::nanoseconds webhook_queues::scaled(
    std::chrono::nanoseconds span) const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(span *
                                                              how_.time_scale);
}

double webhook_queues::fraction() {
  return std::uniform_real_distribution<double>{0, 1}(random_);
}

void webhook_queues::load(update_id id, std::int64_t queue, mono_time expires) {
  auto& of = lines_[queue];
  of.items.push_back({id, expires});
  ++loaded_;
  if (of.items.size() == 1 && !of.busy)
    ready_.push_back(queue);
}

bool webhook_queues::active(mono_time now) const {
  return last_success_ && now < *last_success_ + scaled(active_for);
}

std::optional<mono_time> webhook_queues::may_open_at(mono_time now) const {
  auto open = busy_ - stale_ + idle_;
  if (active(now))
    return open < how_.max_connections ? std::optional{opened_.fits_at(now)}
                                       : std::nullopt;
  if (open > 0)
    return std::nullopt;
  return last_open_ ? std::max<mono_time>(now, *last_open_ + scaled(lone_step))
                    : now;
}

bool webhook_queues::take_connection(mono_time now) {
  if (idle_ > 0) {
    --idle_;
  } else {
    auto when = may_open_at(now);
    if (!when || *when > now)
      return false;
    opened_.enter(now);
    last_open_ = now;
  }
  ++busy_;
  return true;
}

void webhook_queues::give_back(bool usable) {
  --busy_;
  if (stale_ > 0)
    --stale_;
  else if (usable)
    ++idle_;
}

std::optional<webhook_queues::delivery> webhook_queues::next(mono_time now) {
  while (!later_.empty() && later_.top().due <= now) {
    ready_.push_back(later_.top().queue);
    later_.pop();
  }
  if (paused_ || ready_.empty() || !take_connection(now))
    return std::nullopt;
  auto queue = ready_.front();
  ready_.pop_front();
  auto& of = lines_.at(queue);
  of.busy = true;
  auto& head = of.items.front();
  return delivery{head.id, queue, ++head.attempts, head.resend};
}

webhook_queues::fate webhook_queues::done(const delivery& d, unsigned status,
                                          std::optional<unsigned> retry_after,
                                          mono_time now) {
  auto& of = lines_.at(d.queue);
  of.busy = false;
  give_back(status != 0);
  if (status >= 200 && status < 300)
    return succeeded(of, d.queue, now);
  return failed(of, d.queue, status, retry_after, now);
}

webhook_queues::fate webhook_queues::succeeded(line& of, std::int64_t queue,
                                               mono_time now) {
  last_success_ = now;
  gone_since_.reset();
  if (!of.items.front().resend && how_.resend > 0 && fraction() < how_.resend) {
    auto again = of.items.front();
    again.resend = true;
    again.failures = 0;
    of.items.pop_front();
    of.items.push_back(again);
    ready_.push_back(queue);
    return fate::again;
  }
  pop(of, queue);
  return fate::delivered;
}

webhook_queues::fate webhook_queues::failed(line& of, std::int64_t queue,
                                            unsigned status,
                                            std::optional<unsigned> retry_after,
                                            mono_time now) {
  if (status == 410) {
    if (!gone_since_)
      gone_since_ = now;
    if (now > *gone_since_ + scaled(gone_for))
      return fate::given_up;
  } else {
    gone_since_.reset();
  }
  auto& head = of.items.front();
  std::chrono::nanoseconds delay{0};
  if (retry_after) {
    delay = std::chrono::seconds{std::min(*retry_after, 3600u)};
  } else {
    ++head.failures;
    if (head.failures > 1) {
      auto most = std::chrono::seconds{60 + static_cast<int>(60 * fraction())};
      auto doubled =
          std::chrono::seconds{1ll << std::min(head.failures - 1, 16u)};
      delay = std::min(doubled, most);
    }
  }
  auto due = now + scaled(delay);
  if (due >= head.expires) {
    pop(of, queue);
    return fate::dropped;
  }
  if (due > now)
    later_.push({due, queue});
  else
    ready_.push_back(queue);
  return fate::retry;
}

void webhook_queues::pop(line& of, std::int64_t queue) {
  of.items.pop_front();
  --loaded_;
  if (of.items.empty())
    lines_.erase(queue);
  else
    ready_.push_back(queue);
}

std::optional<mono_time> webhook_queues::wake(mono_time now) const {
  if (paused_)
    return std::nullopt;
  if (!ready_.empty())
    return idle_ > 0 ? std::optional{now} : may_open_at(now);
  if (!later_.empty())
    return later_.top().due;
  return std::nullopt;
}

void webhook_queues::restart(mono_time now) {
  paused_ = false;
  stale_ = busy_;
  idle_ = 0;
  opened_ = sliding_window{opens_per_step, scaled(open_step)};
  last_open_.reset();
  if (last_success_ && active(now))
    last_success_.reset();
}

}  // namespace troupe::sim
