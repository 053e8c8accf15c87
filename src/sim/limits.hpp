#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "core/clock.hpp"
#include "sim/window.hpp"

namespace troupe::sim {

/// 0 is no limit. TELEGRAM.md 59.
struct limit_options {
  unsigned global_per_second = 30;
  unsigned chat_per_second = 1;    ///< private chats
  unsigned group_per_minute = 20;  ///< groups and channels
};

/// Whose limit a call ran into.
enum class limit_scope : std::uint8_t {
  none,
  global,
  chat,
  group,
  frozen,  ///< it came during an announced retry_after of its chat
  bot,     ///< the same, after so many chats heard 429 that all is meant
};

std::string_view to_string(limit_scope scope) noexcept;

/// Telegram's flood control for one bot: exact sliding windows judged when a
/// call arrives, and the memory of every `retry_after` that was announced.
/// Pure: time is given.
class flood_control {
 public:
  /// Where a 429 is taken to mean the whole bot: when this many chats heard
  /// one within a second. Calls that were under way by then are let pass.
  static constexpr std::size_t bot_wide_chats = 5;
  static constexpr milliseconds bot_wide_grace{250};

  explicit flood_control(limit_options how);

  struct judgement {
    limit_scope by = limit_scope::none;  ///< none: it may pass
    unsigned retry_after = 0;            ///< seconds, at least 1 if refused
  };

  /// Judges a send or an edit of `cost` messages. Does not spend anything.
  judgement judge(mono_time now, std::int64_t chat, unsigned cost) const;
  /// The call passed: it fills the windows.
  void spend(mono_time now, std::int64_t chat, unsigned cost);
  /// `retry_after` leaves for the bot at `at`: nothing may come to this chat
  /// before it is over. True if that made or changed a freeze of the whole bot.
  bool announce(mono_time at, std::int64_t chat, unsigned retry_after);

  struct freeze {
    mono_time from{};
    mono_time until{};
  };
  /// The latest time in which nothing at all may come.
  freeze bot_freeze() const noexcept { return {bot_from_, bot_until_}; }

 private:
  struct chat_state {
    sliding_window window;
    mono_time announced{};  ///< a freeze holds from here ...
    mono_time until{};      ///< ... to here
  };
  struct announcement {
    std::int64_t chat = 0;
    mono_time at{};
    mono_time until{};
  };

  chat_state& of(std::int64_t chat);
  bool judge_bot_wide(mono_time at);

  limit_options how_;
  sliding_window global_;
  std::unordered_map<std::int64_t, chat_state> chats_;
  std::array<announcement, bot_wide_chats> latest_{};  ///< distinct chats
  mono_time bot_from_{};
  mono_time bot_until_{};
};

}  // namespace troupe::sim
