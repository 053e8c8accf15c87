#pragma once

namespace CLI {
class App;
}

namespace troupe::sim {

/// Adds `sim`, `sim run` and `sim verify` to the tool's command line.
/// @param exit_code set by the command that ran; outlives the parsing.
void add_commands(CLI::App& root, int& exit_code);

}  // namespace troupe::sim
