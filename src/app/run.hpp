#pragma once

#include <memory>

#include "app/console.hpp"
#include "app/reload.hpp"
#include "app/settings.hpp"
#include "app/stop_source.hpp"
#include "troupe/detail/turn.hpp"

namespace troupe::app {

/// Runs the bot until `stop` says so, and drains. The composition root: the
/// one place where every part is made and every part is ended, in order.
///
/// Reloading, by SIGHUP or `/admin/reload`: `again` reads the configuration.
/// What is wrong in it is logged, and nothing is changed; else what a running
/// bot can take is taken, and the rest is named (`reload_plan`).
///
/// Stopping: /readyz turns 503, no new connection is taken, turns and calls
/// are finished within `drain.seconds`, the leases are given up. A second
/// signal, or a drain that hangs, ends the process at once; what was accepted
/// is in the store either way.
/// @returns the exit code.
int run(const loaded& with, const reread& again,
        std::shared_ptr<const detail::bot_base> bot, console& talk,
        stop_source& stop);

}  // namespace troupe::app
