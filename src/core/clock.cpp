#include "core/clock.hpp"

namespace troupe {

namespace {

class real_clock final : public clock {
 public:
  wall_time wall() const noexcept override {
    return std::chrono::time_point_cast<milliseconds>(
        std::chrono::system_clock::now());
  }
  mono_time mono() const noexcept override {
    return std::chrono::steady_clock::now();
  }
};

}  // namespace

const clock& system_clock() noexcept {
  static const real_clock instance;
  return instance;
}

}  // namespace troupe
