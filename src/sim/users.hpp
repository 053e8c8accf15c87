#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/clock.hpp"

namespace troupe::sim {

/// Seconds as the options give them.
constexpr std::chrono::nanoseconds duration_of(double seconds) noexcept {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)};
}

/// `count` updates that piled up during an outage and come at `second`.
struct burst {
  std::uint64_t count = 0;
  double second = 0;
};

struct user_options {
  std::uint64_t users = 0;  ///< private chats
  std::uint64_t groups = 0;
  double rate = 10;  ///< updates per second; 0: closed loop
  bool poisson = true;
  std::optional<double> duration;      ///< seconds
  std::optional<std::uint64_t> count;  ///< updates, bursts included
  std::uint64_t in_flight = 2000;      ///< closed loop: most unanswered ones
  std::vector<burst> bursts;
  double blocked = 0;        ///< fraction of users who have blocked the bot
  std::string prefix = "u";  ///< of every text
  std::uint64_t seed = 1;
};

/// The id of the n-th virtual user: small ones, ones above 2^31, and ones near
/// the 52 bits Telegram allows.
std::int64_t user_id_of(std::uint64_t n) noexcept;
/// The id of the n-th virtual group: basic ones and supergroups.
std::int64_t group_id_of(std::uint64_t n) noexcept;

/// Virtual users who write texts that are unique in their chat
/// (`u<chat>-<k>`), and what they still wait for. Pure: time is given.
class virtual_users {
 public:
  explicit virtual_users(user_options how);

  struct utterance {
    std::int64_t chat = 0;
    std::int64_t user = 0;
    std::string text;
  };

  /// They begin to write.
  void start(mono_time now);
  bool started() const noexcept { return start_.has_value(); }
  /// The next text that is due by now, if any.
  std::optional<utterance> next(mono_time now);
  /// True for the second of a burst, once each: deliveries start over.
  bool burst_begins(mono_time now);
  /// Nothing more will be written.
  bool finished(mono_time now) const;
  /// When `next` may have something.
  std::optional<mono_time> wake(mono_time now) const;

  /// A text that will not be answered was written (its update was dropped).
  void forget(const utterance& u);
  /// The bot said `text` in `chat`: what it answers is not waited for any
  /// more. A counter's `n=<n> text=<text>` answers that text; any other text
  /// answers the oldest one. Texts under an error count as well.
  void heard(std::int64_t chat, std::string_view text);
  /// The chat refused the bot: what it said so far is not waited for any more.
  void gave_up(std::int64_t chat);
  /// Whether the chat has blocked the bot: then nothing is waited for.
  void ignore(std::int64_t chat, bool on);

  std::uint64_t written() const noexcept { return written_; }
  std::uint64_t unanswered() const noexcept { return unanswered_; }
  const user_options& how() const noexcept { return how_; }
  bool is_blocked(std::uint64_t n) const noexcept;
  std::optional<mono_time> start_time() const noexcept { return start_; }

 private:
  struct talk {
    std::uint64_t said = 0;
    bool ignored = false;  ///< blocked: nobody waits
    std::deque<std::string> waiting;
  };
  utterance write();
  std::optional<mono_time> arrival(mono_time now) const;
  bool all_written() const;
  bool is_past_end(mono_time at) const;
  double fraction();

  user_options how_;
  std::mt19937_64 random_;
  std::optional<mono_time> start_;
  mono_time next_arrival_{};
  std::size_t next_burst_ = 0;
  std::uint64_t burst_left_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t unanswered_ = 0;
  std::unordered_map<std::int64_t, talk> talks_;
};

}  // namespace troupe::sim
