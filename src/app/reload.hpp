#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "core/json.hpp"

namespace troupe::app {

/// What another configuration means for a bot that runs.
struct reload_plan {
  settings next;                     ///< what it runs with from now on
  std::vector<std::string> changed;  ///< "limits.chat_per_second: 1 -> 2"
  /// Keys that are another now, and that only a restart takes; no values.
  std::vector<std::string> restart;
};

/// Of the differences those that a running bot takes are in `next`: limits per
/// chat, group, second and of campaigns, `bot.allowed_updates`, `log.level`.
/// A global limit can't come or go: whether there is one decides who is there
/// to keep it. Pure.
reload_plan plan_reload(const settings& now, const settings& wanted);

/// Reads the configuration again, from where it was read at the start.
using reread = std::function<result<loaded>()>;

/// The plan as `bot reload` gets it.
json::object to_json(const reload_plan& plan);

}  // namespace troupe::app
