#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>

#include "core/clock.hpp"
#include "core/metrics.hpp"

/// What `run` asks of the machine, and what it tells of its listeners.
namespace troupe::app {

/// Lets this process open as many files as it may at all: connections are
/// files, and the soft limit is 1024 nearly everywhere.
/// @returns the limit that holds now; 0 if nobody knows.
std::uint64_t raise_file_limit() noexcept;

/// `process_start_time_seconds`, by which restarts are counted.
void note_start(metrics::registry& into, wall_time now);

/// Counts what a listener refused before a handler saw it, by status
/// (`troupe_http_rejected_total`), and logs it without flooding the log.
/// **Lifetime**: the registry outlives it. **Threads**: any, once made.
class reject_meter {
 public:
  reject_meter(std::string listener, metrics::registry& into);

  /// @param status as `http::server_options::on_reject` has it.
  /// @returns true if it wrote a line: one in ten seconds at most.
  bool note(unsigned status, mono_time now);

  /// For `on_reject`.
  static std::function<void(unsigned)> make(std::string listener,
                                            metrics::registry& into);

 private:
  static constexpr unsigned known[] = {0,   400, 401, 403, 404, 405, 408,
                                       413, 415, 431, 501, 503, 504};
  static constexpr std::size_t kinds = std::size(known);

  std::string listener_;
  metrics::counter* counts_[kinds + 1];  ///< the last: any other status
  std::atomic<std::int64_t> next_line_{INT64_MIN};  ///< ticks of `mono_time`
  std::atomic<std::uint64_t> unlogged_{0};
};

}  // namespace troupe::app
