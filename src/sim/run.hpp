#pragma once

#include "sim/simulator.hpp"

namespace troupe::sim {

/// Runs a simulator in the foreground: `{"listening":"HOST:PORT"}` as the first
/// line on stdout, progress on stderr, until the run is over or SIGINT or
/// SIGTERM comes; then `{"done":"settled"}` or why else it ended.
/// **Threads**: main, before any other thread was started (signals).
/// @returns the exit code: 0, 1 if no bot appeared or the log is incomplete,
/// 2 if it could not start with these options.
int run(sim_options how);

}  // namespace troupe::sim
