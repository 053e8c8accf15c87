#pragma once

namespace CLI {
class App;
}

namespace troupe::app::top {

/// Adds `top` to the tool's command line.
/// @param exit_code set by the command; outlives the parsing.
void add_command(CLI::App& root, int& exit_code);

}  // namespace troupe::app::top
