#pragma once

#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "app/stop_source.hpp"
#include "troupe/detail/turn.hpp"

namespace troupe::app {

/// A bot's program with its surroundings handed in, so that a test can be
/// them.
struct surroundings {
  std::string program;            ///< its name, for messages
  std::vector<std::string> args;  ///< after the name
  std::map<std::string, std::string> environment;
  std::ostream& out;
  std::ostream& err;
  /// Asked for by `run` only, before it starts a thread.
  std::function<result<std::unique_ptr<stop_source>>()> stop = &process_signals;
};

/// @returns the exit code. Never throws; what was thrown is told and 1.
int run_program(const surroundings& around,
                std::shared_ptr<const detail::bot_base> bot);

}  // namespace troupe::app
