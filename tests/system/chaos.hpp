#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/system/stage.hpp"

/// What the chaos tests do to a cluster, and what they make of its logs. Pure:
/// tests of their own show that the judge can say no.
namespace troupe::system_test {

using std::chrono::milliseconds;

enum class trouble : std::uint8_t {
  kill,     ///< kill -9; started again after `length`
  stop,     ///< SIGSTOP for `length`
  road,     ///< no other node can dial it, or what they say is swallowed
  reset,    ///< its connections to the store end
  cut,      ///< it can't reach the store, or what it says is swallowed
  restart,  ///< the store: kill -9; started again after `length`
};
inline constexpr std::size_t troubles = 6;

const char* to_text(trouble what);

struct fault {
  trouble what = trouble::kill;
  std::size_t node = 0;    ///< not of `restart`
  milliseconds at{0};      ///< since the beginning
  milliseconds length{0};  ///< 0 of `reset`
  bool silent = false;     ///< road, cut: swallowed, not refused

  /// The node can't do its work meanwhile.
  bool takes_a_node() const noexcept {
    return what == trouble::kill || what == trouble::stop ||
           what == trouble::cut;
  }
};

std::string to_text(const fault& what);

/// What goes wrong within `span`, from the seed alone: the same seed, the same
/// faults. They overlap; but at any time a node is left that no fault has
/// taken.
std::vector<fault> plan(std::uint64_t seed, milliseconds span,
                        std::size_t nodes);

/// A shard that got a new owner, without that the one before had ended all it
/// had begun: what that one had under way may be done again.
struct takeover {
  unsigned shard = 0;
  std::int64_t at = 0;  ///< when the new one began: wall-clock ms, or µs
};

/// From what the nodes logged at level debug. A line that is no JSON (its
/// writer was killed) is left out.
std::vector<takeover> takeovers(const std::vector<std::string>& log_lines);

/// A takeover may make each chat of its shard step back once: the count of a
/// reply is not above the one before.
struct repeats {
  std::size_t copies = 0;        ///< replies that came before
  std::size_t steps_back = 0;    ///< of a chat's count
  std::size_t most_at_once = 0;  ///< copies after one step back
  /// Steps back that no takeover explains, each as a line.
  std::vector<std::string> unexplained;
};

/// What a stray call is allowed: a machine that is busy lets it, or the line
/// that tells of the takeover, come so much later.
inline constexpr std::int64_t slack_us = 2'000'000;

/// @param taken times on the same clock as those of the calls
/// @param shards how many the store has
repeats find_repeats(const std::vector<logged_call>& calls,
                     const std::vector<takeover>& taken, std::uint16_t shards);
/// The same of a simulator's log.
/// @param taken as `takeovers` gave it
/// @param log another one than this simulator's
repeats repeats_in(const stage& on, std::vector<takeover> taken,
                   std::uint16_t shards, const std::string& log = {});

/// The count in a counter's `n=<n> text=<text>`.
std::optional<std::int64_t> count_in(const std::string& reply);

}  // namespace troupe::system_test
