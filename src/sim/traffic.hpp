#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/limits.hpp"
#include "sim/verify.hpp"

namespace troupe::sim {

/// The bot's sends and edits against the limits, rebuilt from the log: the
/// windows, the 429s, what came too early after one. Pure; times are
/// microseconds, in the order of arrival.
class traffic {
 public:
  explicit traffic(limit_options limits);

  struct attempt {
    std::int64_t chat = 0;
    std::int64_t arrived = 0;
    std::int64_t answered = 0;
    unsigned cost = 1;
    bool recorded = false;
    bool refused = false;  ///< 429
    std::int64_t retry_after = 0;
    bool unprovoked = false;  ///< the 429 was a fault of ours
    std::string_view limit;   ///< what the simulator said, see limit_scope
  };
  void add(const attempt& a);
  /// A 429 for a call that is no send.
  void refused_elsewhere(bool unprovoked);

  bool limited() const noexcept;
  void conclude(verdict& into, unsigned stretch_seconds,
                std::int64_t first_update) const;

 private:
  struct chat {
    sliding_window window;
    std::int64_t quiet_from = 0;
    std::int64_t quiet_until = 0;
  };

  void refuse(const attempt& a, bool too_early);
  void check_windows(const attempt& a, chat& in);

  limit_options limits_;
  sliding_window global_;
  std::unordered_map<std::int64_t, chat> chats_;
  std::vector<std::uint32_t> tenths_;  ///< recorded messages per 0.1 s
  std::int64_t last_ = 0;
  verdict sums_;
};

}  // namespace troupe::sim
