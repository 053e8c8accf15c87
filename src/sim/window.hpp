#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "core/clock.hpp"

namespace troupe::sim {

/// An exact sliding window: no half-open interval of length `span` ever holds
/// more than `limit` entries. Keeps the last `limit` entry times and nothing
/// else.
class sliding_window {
 public:
  /// @param limit 0 is no limit.
  sliding_window(unsigned limit, std::chrono::nanoseconds span)
      : span_{span}, limit_{limit} {}

  /// When `cost` entries fit: `now`, or the moment at which they will if none
  /// comes in between. A cost over the limit fits into an empty window.
  mono_time fits_at(mono_time now, unsigned cost = 1) const noexcept {
    if (limit_ == 0 || cost == 0 || times_.empty())
      return now;
    auto needed = cost < limit_ ? cost : limit_;
    // The entry that has to leave: the needed-th oldest of the last `limit`.
    if (times_.size() + needed <= limit_)
      return now;
    auto nth = times_.size() + needed - limit_ - 1;
    auto leaves = times_[(oldest_ + nth) % times_.size()] + span_;
    return leaves > now ? leaves : now;
  }

  /// Enters `cost` entries; times must not go back.
  void enter(mono_time now, unsigned cost = 1) {
    if (limit_ == 0)
      return;
    for (auto n = cost < limit_ ? cost : limit_; n > 0; --n) {
      if (times_.size() < limit_) {
        times_.push_back(now);
      } else {
        times_[oldest_] = now;
        oldest_ = (oldest_ + 1) % times_.size();
      }
    }
  }

 private:
  std::chrono::nanoseconds span_;
  unsigned limit_;
  std::size_t oldest_ = 0;
  std::vector<mono_time> times_;
};

}  // namespace troupe::sim
