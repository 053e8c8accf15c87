#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/limits.hpp"
#include "sim/verify.hpp"

namespace troupe::sim {

/// The bot's sends and edits against the limits, rebuilt from the log: the
/// windows, the 429s, what came too early after one, what did not wait for the
/// answer before; other calls as far as they heard 429. Pure; times are
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
    bool awaited = true;       ///< its client must have waited for `answered`
    bool in_response = false;  ///< to a webhook delivery: nobody waits
    bool refused = false;      ///< 429
    std::int64_t retry_after = 0;
    bool unprovoked = false;  ///< the 429 was a fault of ours
    std::string_view limit;   ///< what the simulator said, see limit_scope
  };
  void add(const attempt& a);
  /// A call that is no send. @param scope what a 429 holds for: the method,
  /// the chat, the query.
  void add_other(const attempt& a, const std::string& scope);
  /// Nothing may come from here to there.
  void bot_freeze(std::int64_t from, std::int64_t until);

  bool limited() const noexcept;
  void conclude(verdict& into, unsigned stretch_seconds,
                std::int64_t first_update) const;

 private:
  struct span {
    std::int64_t from = 0;
    std::int64_t until = 0;
    bool holds(std::int64_t at) const noexcept {
      return at >= from && at < until;
    }
  };
  struct chat {
    sliding_window window;
    sliding_window attempts;
    span quiet;
    std::int64_t busy_until = 0;  ///< the latest awaited answer leaves
  };

  bool comes_early(const attempt& a, span& quiet, bool is_send);
  void check_order(const attempt& a, chat& in);
  void check_attempts(const attempt& a, chat& in);
  void refuse(const attempt& a, bool too_early);
  void check_windows(const attempt& a, chat& in);

  limit_options limits_;
  sliding_window global_;
  sliding_window global_attempts_;
  std::unordered_map<std::int64_t, chat> chats_;
  std::unordered_map<std::string, span> others_;  ///< by scope; after a 429
  std::vector<span> freezes_;                     ///< of the whole bot
  std::vector<std::uint32_t> tenths_;  ///< recorded messages per 0.1 s
  std::int64_t last_ = 0;
  verdict sums_;
};

}  // namespace troupe::sim
