#pragma once

#include <memory>

#include "core/clock.hpp"
#include "core/result.hpp"

namespace troupe::app {

/// What asks a running bot to stop, or to read its configuration again.
/// **Threads**: one waits at a time; `interrupt` from any.
class stop_source {
 public:
  enum class news { signal, reload, interrupted, nothing };

  virtual ~stop_source() = default;
  /// Waits for the next signal, an `interrupt`, or `at_most`. Each signal is
  /// told once.
  virtual news wait(milliseconds at_most) = 0;
  /// Ends the wait that is on, or else the next one.
  virtual void interrupt() = 0;
};

/// SIGTERM and SIGINT; SIGHUP asks for a reload. Make it before any thread is
/// started: they inherit the signals blocked. Its end unblocks them.
/// **Errors**: `errc::unavailable` without file descriptors.
result<std::unique_ptr<stop_source>> process_signals();

}  // namespace troupe::app
