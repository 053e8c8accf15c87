#include "sim/poller.hpp"

#include <algorithm>

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

// The server gathers for a moment once the first update is there.
constexpr auto gather = 1ms;

}  // namespace

poller::step poller::begin(const request& what, update_queue& queue,
                           mono_time now) {
  auto limit = std::clamp<std::int64_t>(what.limit, 1, 100);
  auto timeout = std::clamp<std::int64_t>(what.timeout, 0, 50);
  if (what.offset == last_offset_) {
    if (timeout < 3 && now < last_begin_ + 3s)
      timeout = 3;
    if (now < last_begin_ + 500ms)
      limit = 1;
  }
  last_offset_ = what.offset;
  last_begin_ = now;

  answer reply{what.who, what.offset, static_cast<std::size_t>(limit), now};
  if (timeout == 0 || !queue.read(what.offset, 1, now).empty())
    return {reply, std::nullopt};
  step out;
  if (held_)
    out.thrown_out = refusal{release().who, conflict_delay(now)};
  held_ = held_request{reply, now + std::chrono::seconds{timeout}};
  wake_ = held_->deadline;
  return out;
}

std::optional<poller::answer> poller::poll(update_queue& queue, mono_time now) {
  if (!held_)
    return std::nullopt;
  if (now >= *wake_)
    return release();
  if (*wake_ == held_->deadline &&
      !queue.read(held_->what.offset, 1, now).empty())
    wake_ = std::min<mono_time>(held_->deadline, now + gather);
  return std::nullopt;
}

std::optional<poller::refusal> poller::cancel(mono_time now) {
  if (!held_)
    return std::nullopt;
  return refusal{release().who, conflict_delay(now)};
}

poller::answer poller::release() {
  auto out = held_->what;
  held_.reset();
  wake_.reset();
  return out;
}

// Pollers that throw each other out are slowed down to one fight per 3 s.
milliseconds poller::conflict_delay(mono_time now) {
  auto at = std::max(now, next_conflict_);
  next_conflict_ = at + 3s;
  return std::chrono::ceil<milliseconds>(at - now);
}

}  // namespace troupe::sim
