#pragma once

#include <chrono>
#include <cstdint>

namespace troupe {

/// Wall time in milliseconds since the Unix epoch: for what is stored.
using wall_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// Monotonic time: for windows, leases and everything that is only measured.
using mono_time = std::chrono::steady_clock::time_point;

using std::chrono::milliseconds;

/// The two clocks of the process, behind one seam so that tests own time.
/// **Threads**: any.
class clock {
 public:
  virtual ~clock() = default;
  virtual wall_time wall() const noexcept = 0;
  virtual mono_time mono() const noexcept = 0;
};

/// The machine's clocks.
const clock& system_clock() noexcept;

/// What `system_clock().mono()` says, for code that needs no seam: times of
/// sockets. **Threads**: any.
inline mono_time mono_now() noexcept {
  return std::chrono::steady_clock::now();
}

constexpr std::int64_t to_ms(wall_time t) noexcept {
  return t.time_since_epoch().count();
}

constexpr wall_time from_ms(std::int64_t ms) noexcept {
  return wall_time{milliseconds{ms}};
}

/// A clock that moves only when told to, both faces together.
/// **Threads**: one, or external order.
class manual_clock final : public clock {
 public:
  explicit manual_clock(wall_time start = from_ms(1'700'000'000'000))
      : wall_{start}, mono_{std::chrono::hours{1}} {}
  wall_time wall() const noexcept override { return wall_; }
  mono_time mono() const noexcept override { return mono_; }
  void advance(milliseconds by) {
    wall_ += by;
    mono_ += by;
  }

 private:
  wall_time wall_;
  mono_time mono_;
};

}  // namespace troupe
