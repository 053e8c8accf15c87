#include "actors/window.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::actors {

namespace {

// Clocks here and there are read in whole milliseconds at worst: one for each.
constexpr milliseconds guard{2};
// The rate grows back by a tenth per step of quiet time.
constexpr double recovery = 1.1;

}  // namespace

window::window(unsigned limit, milliseconds period, milliseconds margin)
    : full_{limit}, limit_{limit}, period_{period}, margin_{margin} {}

void window::configure(unsigned limit, mono_time now) {
  const bool was_unlimited = full_ == 0;
  full_ = limit;
  limit_ = limit;
  if (was_unlimited)
    spend(now, limit);
}

mono_time window::earliest(mono_time now, unsigned cost) const {
  if (full_ == 0 || cost == 0)
    return now;
  if (limit_ < full_ && std::min(cost, full_) > limit_)
    return mono_time::max();
  auto need = std::min(cost, limit_);
  unsigned held = 0;
  for (auto& s : slots_)
    if (s.free_at() > now)
      held += s.messages;
  if (held + need <= limit_)
    return now;
  // Walk the slots in the order in which they come free.
  std::vector<slot> waiting;
  for (auto& s : slots_)
    if (s.free_at() > now)
      waiting.push_back(s);
  std::sort(waiting.begin(), waiting.end(),
            [](auto& a, auto& b) { return a.free_at() < b.free_at(); });
  for (auto& s : waiting) {
    held -= s.messages;
    if (held + need <= limit_)
      return s.free_at();
  }
  return now;
}

window::ticket window::take(mono_time now, unsigned cost) {
  auto id = next_++;
  if (full_ == 0 || cost == 0)
    return id;
  forget(now);
  // More than a whole window: one full window, held for several periods.
  auto periods = (cost + limit_ - 1) / limit_;
  slots_.push_back({id, std::min(cost, limit_), now + margin_,
                    stretched(now) * std::int64_t{periods}});
  return id;
}

void window::answered(ticket which, mono_time at, bool arrived) {
  auto it = std::find_if(slots_.begin(), slots_.end(),
                         [&](auto& s) { return s.owner == which; });
  if (it == slots_.end())
    return;
  if (!arrived) {
    slots_.erase(it);
    return;
  }
  it->arrived_by = std::min(it->arrived_by, at + guard);
}

void window::spend(mono_time at, unsigned messages) {
  if (full_ != 0 && messages != 0)
    slots_.push_back({0, std::min(messages, full_), at + guard, period_});
}

void window::slow_down(mono_time now) {
  factor_ = std::max(0.2, factor(now) * 0.8);
  slowed_ = now;
}

milliseconds window::recovery_step() const {
  return std::max<milliseconds>(period_ * 10, milliseconds{10'000});
}

double window::factor(mono_time now) const {
  if (factor_ >= 1)
    return 1;
  auto steps = (now - slowed_) / recovery_step();
  return std::min(1.0, factor_ * std::pow(recovery, double(steps)));
}

milliseconds window::stretched(mono_time now) const {
  auto f = factor(now);
  if (f >= 1)
    return period_;
  return milliseconds{
      static_cast<std::int64_t>(std::ceil(double(period_.count()) / f))};
}

unsigned window::used(mono_time now) const {
  unsigned held = 0;
  for (auto& s : slots_)
    if (s.free_at() > now)
      held += s.messages;
  return held;
}

mono_time window::clear_at() const {
  mono_time at{};
  for (auto& s : slots_)
    at = std::max(at, s.free_at());
  if (factor_ < 1) {
    auto steps = std::ceil(std::log(1 / factor_) / std::log(recovery));
    at = std::max(at, slowed_ + recovery_step() * std::int64_t(steps));
  }
  return at;
}

void window::forget(mono_time now) {
  std::erase_if(slots_, [&](auto& s) { return s.free_at() <= now; });
}

}  // namespace troupe::actors
