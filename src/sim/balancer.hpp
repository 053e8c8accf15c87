#pragma once

#include <cstddef>
#include <vector>

#include "core/clock.hpp"

namespace troupe::sim {

/// Which of several addresses of one webhook is next: what a load balancer
/// does that stands before a bot's nodes. In turn, but for those that failed a
/// moment ago. Pure: time is given.
class balancer {
 public:
  /// So long one that failed is left out.
  static constexpr milliseconds rest{1'000};

  explicit balancer(std::size_t targets) : resting_until_(targets) {}

  std::size_t size() const noexcept { return resting_until_.size(); }

  /// The next one; if all rest, the next one in turn all the same.
  std::size_t next(mono_time now);
  void failed(std::size_t target, mono_time now);
  void succeeded(std::size_t target);

 private:
  std::vector<mono_time> resting_until_;
  std::size_t turn_ = 0;
};

}  // namespace troupe::sim
