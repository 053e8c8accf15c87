#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace troupe::sim {

struct verify_options {
  /// So many duplicates, and so many calls that did not wait for the one
  /// before, break nothing although no fault explains them: they may be of
  /// calls that were under way when the bot was killed.
  std::uint64_t max_duplicates = 0;
  unsigned stretch_seconds = 10;  ///< for the utilisation
};

struct percentiles {
  double p50 = 0, p95 = 0, p99 = 0, max = 0;  ///< milliseconds
};

/// What a log proves. DESIGN.md section 4 has the guarantees. A guarantee is
/// exercised only by what could have broken it.
struct verdict {
  enum class state : std::uint8_t { ok, broken, not_exercised };
  struct line {
    std::string name;  ///< G1 ... G9
    state is = state::not_exercised;
    std::string what;
  };

  std::uint64_t updates = 0;            ///< made
  std::uint64_t texts = 0;              ///< of those: what a counter counts
  std::uint64_t dropped_texts = 0;      ///< not even made: no room, not wanted
  std::uint64_t accepted = 0;           ///< answered 2xx, or confirmed
  std::uint64_t accepted_texts = 0;     ///< of those: what a counter counts
  std::uint64_t undelivered = 0;        ///< never accepted
  std::uint64_t redelivered = 0;        ///< delivered again although accepted
  std::uint64_t failed_deliveries = 0;  ///< answered, but not 2xx
  std::uint64_t unreachable = 0;        ///< not answered at all
  std::uint64_t calls = 0;
  std::uint64_t replies = 0;  ///< messages and edits recorded
  std::uint64_t refused_403 = 0;
  std::uint64_t faults = 0;  ///< ours, on purpose

  std::uint64_t lost = 0;           ///< accepted, never replied to
  std::uint64_t undeliverable = 0;  ///< the same, but the chat refuses the bot
  std::uint64_t order_violations = 0;
  std::uint64_t state_errors = 0;  ///< the counter was wrong for the text
  std::uint64_t torn_turns = 0;    ///< counted on, yet never replied to
  std::uint64_t duplicates = 0;
  std::uint64_t excused_duplicates = 0;  ///< the first answer was lost by us
  std::uint64_t overlapping_calls = 0;   ///< did not wait for the one before
  std::uint64_t limit_violations_global = 0;
  std::uint64_t limit_violations_chat = 0;
  std::uint64_t limit_violations_group = 0;
  /// Calls that overfilled a window of all that was not answered 429.
  std::uint64_t attempt_violations = 0;
  std::uint64_t retry_after_violations = 0;
  std::uint64_t retry_after_violations_chat = 0;
  std::uint64_t retry_after_violations_bot = 0;
  std::uint64_t bot_freezes = 0;  ///< times 429 was the whole bot's
  std::uint64_t answers_429 = 0;
  std::uint64_t answers_429_unprovoked = 0;

  percentiles accept_ms;      ///< POST sent to 2xx
  percentiles end_to_end_ms;  ///< update made to reply arrived
  double seconds = 0;         ///< first update to last reply
  double replies_per_second = 0;
  double peak_replies_per_second = 0;  ///< in the busiest second
  double global_utilisation = 0;       ///< 0 without a global limit

  std::string end;  ///< how the run ended, see `phase`
  std::vector<line> guarantees;
  std::vector<std::string> findings;  ///< the first of each kind, with place

  std::uint64_t limit_violations() const noexcept {
    return limit_violations_global + limit_violations_chat +
           limit_violations_group;
  }
  /// Everything that was made was accepted, and a bot was there.
  bool complete() const noexcept { return undelivered == 0 && end != "no_bot"; }
  /// At least one guarantee was exercised, and held.
  bool proves_something() const noexcept;
  bool broke_something() const noexcept;
  /// Nothing is broken, nothing is missing, and something was proven.
  bool ok() const noexcept;
};

/// Judges a log line by line. Pure.
/// **Cost**: about 1 µs and 40 bytes per update; percentiles are exact.
class log_judge {
 public:
  explicit log_judge(verify_options how);
  ~log_judge();

  /// **Errors**: `errc::bad_input`: not a line of a simulator's log. `number`
  /// is the line's, for the text.
  result<void> read(std::string_view line, std::uint64_t number);
  /// True once the log says how the run ended: what follows may be torn.
  bool ended() const noexcept;
  /// **Errors**: `errc::bad_input`: the log stops before the end of the run.
  result<verdict> finish();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Judges a log file.
/// **Errors**: `errc::not_found`: it can't be read; `errc::bad_input`: it is
/// no log of a simulator, or cut off.
result<verdict> verify_file(const std::string& path, verify_options how);

}  // namespace troupe::sim
