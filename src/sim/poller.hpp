#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.hpp"
#include "sim/update_queue.hpp"

namespace troupe::sim {

/// getUpdates of one bot (TELEGRAM.md 27-34) without its sockets: who is
/// answered at once, who is held, who is thrown out. Pure: time is given.
class poller {
 public:
  /// The caller's name for a request; never 0.
  using token = std::uint64_t;

  struct request {
    token who = 0;
    std::int64_t offset = 0;
    std::int64_t limit = 100;
    std::int64_t timeout = 0;  ///< seconds
  };

  /// Answer `who` with what `update_queue::read(offset, limit)` gives.
  struct answer {
    token who = 0;
    std::int64_t offset = 0;
    std::size_t limit = 100;
    mono_time asked{};
  };

  /// Refuse `who` with 409, `delay` from now.
  struct refusal {
    token who = 0;
    milliseconds delay{0};
  };

  struct step {
    std::optional<answer> now;
    std::optional<refusal> thrown_out;
  };

  /// A getUpdates call arrived, and what its offset confirms is forgotten. If
  /// the step holds no answer, the call is held.
  step begin(const request& what, update_queue& queue, mono_time now);
  /// After an update was queued, and at `wake()`.
  std::optional<answer> poll(update_queue& queue, mono_time now);
  /// setWebhook: who is held is thrown out.
  std::optional<refusal> cancel(mono_time now);
  /// When `poll` has to be called at the latest.
  std::optional<mono_time> wake() const noexcept { return wake_; }

 private:
  struct held_request {
    answer what;
    mono_time deadline{};
  };
  answer release();
  milliseconds conflict_delay(mono_time now);

  std::optional<held_request> held_;
  std::optional<mono_time> wake_;
  std::int64_t last_offset_ = -1;
  mono_time last_begin_{};
  mono_time next_conflict_{};
};

}  // namespace troupe::sim
