#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "actors/window.hpp"
#include "core/ids.hpp"

namespace troupe::actors {

/// The global limiter's logic: who may send next, within the bot's budget.
///
/// Interactive calls go before campaign calls; campaigns have a window of
/// their own inside the global one and get every tenth grant while they wait,
/// so that they never starve (G9). A 429 seen by several chats within a second
/// freezes everything until it is over (G8).
///
/// Pure: time comes in, decisions go out. **Threads**: one.
class budget {
 public:
  /// Names a waiting caller; chosen by the caller.
  using claim = std::uint64_t;

  struct grant {
    claim to;
    window::ticket ticket;
  };

  budget(unsigned per_second, unsigned bulk_per_second, milliseconds margin);

  /// Queues a claim of `cost` messages.
  void want(claim who, unsigned cost, bool bulk);

  /// They want nothing any more.
  void withdraw(const std::unordered_set<claim>& gone);

  /// Grants all that may leave at `now`, in order.
  std::vector<grant> ready(mono_time now);

  /// When `ready` may have more, if anything waits.
  std::optional<mono_time> next(mono_time now) const;

  /// The call of a grant was answered; see `window::answered`.
  void answered(window::ticket which, mono_time at, bool arrived);

  /// A chat got a 429. True if that made it the bot's: everything is frozen.
  bool flooded(chat_key chat, mono_time now, milliseconds retry_after);

  /// Nothing leaves before `until`.
  void freeze(mono_time until);

  /// Counts the whole window as spent at `now`: after a restart.
  void spend_all(mono_time now);

  /// Counts so many as spent at `at`.
  void spend(mono_time at, unsigned messages);

  /// Only so many per second of the bot's budget are ours; campaigns' share
  /// shrinks with it.
  void resize(unsigned per_second);

  /// Other limits were configured; neither from nor to none for the whole bot.
  void configure(unsigned per_second, unsigned bulk_per_second, mono_time now);

  std::size_t waiting() const noexcept {
    return interactive_.size() + bulk_.size();
  }
  mono_time frozen_until() const noexcept { return frozen_until_; }
  const window& total() const noexcept { return total_; }

 private:
  struct wish {
    claim who;
    unsigned cost;
  };

  std::deque<wish>* choose(mono_time now);

  unsigned full_;
  unsigned full_bulk_;
  window total_;
  window bulk_window_;
  std::deque<wish> interactive_;
  std::deque<wish> bulk_;
  unsigned since_bulk_ = 0;
  mono_time frozen_until_{};
  // Tickets of bulk grants: total's ticket -> bulk window's.
  std::unordered_map<window::ticket, window::ticket> bulk_tickets_;
  struct flood {
    chat_key chat;
    mono_time at;
    mono_time until;
  };
  std::vector<flood> floods_;
};

}  // namespace troupe::actors
