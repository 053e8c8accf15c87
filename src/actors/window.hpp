#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/clock.hpp"

namespace troupe::actors {

/// An exact sliding window: no span of `period` ever holds more than `limit`
/// messages, judged where calls arrive (G7).
///
/// A call arrives somewhere between its departure and its answer, and only
/// Telegram knows when. So a slot is held while the call is under way, and
/// is free again one period after the answer: whatever is granted then
/// arrives at least one period after the earlier call did. A call without an
/// answer is taken to have arrived `margin` after it left.
///
/// Pure: time comes in with every call. **Threads**: one.
class window {
 public:
  using ticket = std::uint32_t;

  /// @param limit messages per period; 0 is no limit.
  window(unsigned limit, milliseconds period, milliseconds margin);

  bool unlimited() const noexcept { return full_ == 0; }

  /// From now on only so many of the limit given at first; 0 is none at all,
  /// and more than that limit, or a limit of what has none, is not possible.
  void resize(unsigned limit) { limit_ = std::min(limit, full_); }

  /// Another limit was configured. What was sent while there was none was not
  /// counted: it is taken to have filled the window at `now`.
  void configure(unsigned limit, mono_time now);

  /// When `cost` messages may leave: `now` if at once, else the earliest time
  /// known by now (an answer may make it earlier). A cost over the limit waits
  /// for an empty window; while the limit is cut down, for a larger limit:
  /// `mono_time::max()`.
  mono_time earliest(mono_time now, unsigned cost = 1) const;

  /// Takes the slots for a call that leaves at `now`. The caller has checked
  /// `earliest(now, cost) <= now`. A cost of several limits holds the window
  /// for as many periods.
  ticket take(mono_time now, unsigned cost = 1);

  /// The call was answered (or certainly not sent: `arrived` false, then its
  /// slots are free at once).
  void answered(ticket which, mono_time at, bool arrived = true);

  /// Counts messages that were sent at `at`, before this window existed.
  void spend(mono_time at, unsigned messages = 1);

  /// A 429: the period stretches by 1/0.8, at most five times. Quiet time
  /// shrinks it back, a tenth per ten periods (10 s at least).
  void slow_down(mono_time now);

  /// 1 when undisturbed, down to 0.2: the share of the configured rate.
  double factor(mono_time now) const;

  /// Messages in the window now.
  unsigned used(mono_time now) const;
  unsigned limit() const noexcept { return limit_; }

  /// From when on nothing is remembered: a window made anew does the same.
  mono_time clear_at() const;

 private:
  struct slot {
    ticket owner;
    unsigned messages;
    mono_time arrived_by;  ///< it reached Telegram no later than this
    milliseconds hold;     ///< how long from then
    mono_time free_at() const noexcept { return arrived_by + hold; }
  };

  milliseconds recovery_step() const;
  milliseconds stretched(mono_time now) const;
  void forget(mono_time now);

  unsigned full_;
  unsigned limit_;
  milliseconds period_;
  milliseconds margin_;
  ticket next_ = 1;
  double factor_ = 1;
  mono_time slowed_{};
  std::vector<slot> slots_;
};

}  // namespace troupe::actors
