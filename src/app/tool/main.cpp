#include <CLI/CLI.hpp>

#include "app/top/command.hpp"
#include "sim/command.hpp"

int main(int argc, char** argv) {
  CLI::App app{
      "The tool beside Troupe's bots: simulates Telegram, proves guarantees,\n"
      "shows a running bot.\n"
      "A bot's own commands (run, check, webhook, stats...) are in its "
      "binary."};
  app.name("troupe");
  app.set_version_flag("--version", "troupe " TROUPE_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  troupe::sim::add_commands(app, exit_code);
  troupe::app::top::add_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return exit_code;
}
