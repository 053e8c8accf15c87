#include "sim/command.hpp"

#include <CLI/CLI.hpp>
#include <fstream>

#include "tests/sim/toy_bot.hpp"

using troupe::sim::test::temp_dir;

namespace {

// What `troupe ARGUMENTS` would exit with.
int exit_code_of(std::string arguments) {
  CLI::App app;
  int code = 0;
  troupe::sim::add_commands(app, code);
  app.require_subcommand(1);
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& e) {
    return e.get_exit_code() == 0 ? 0 : 2;
  }
  return code;
}

}  // namespace

TEST_CASE("command: wrong flags are told before anything starts") {
  for (auto flags :
       {"", "simulate", "sim --nonsense", "sim --rate fast", "sim --rate -1",
        "sim --listen nowhere", "sim --listen 127.0.0.1:99999",
        "sim --burst 100", "sim --burst x@2", "sim --outage 5-3",
        "sim --outage 5", "sim --drop-answers 1.5", "sim --arrivals sometimes",
        "sim --token nonsense", "sim --webhook-secret s", "sim verify"}) {
    INFO(flags);
    CHECK(exit_code_of(flags) == 2);
  }
  CHECK(exit_code_of("sim --help") == 0);
  CHECK(exit_code_of("sim --listen 127.0.0.1:0 --webhook gopher://x") == 2);
}

TEST_CASE("command: verify exits 0 if all held, 1 if not, 2 without a log") {
  temp_dir dir;
  auto log = dir.file("log");
  std::string good =
      R"({"e":"config","t":0,"version":1,"global_per_second":30})"
      "\n"
      R"({"e":"update","t":1,"id":7,"chat":1,"kind":"message","text":"a"})"
      "\n"
      R"({"e":"deliver","t":3,"id":7,"t0":1,"t1":3,"status":200})"
      "\n";
  std::string reply =
      R"({"e":"call","t":4,"method":"sendMessage","chat":1,"t_in":4,)"
      R"("t_out":4,"text":"n=1 text=a","recorded":true,"code":200})"
      "\n";
  std::string end = "{\"e\":\"settled\",\"t\":9}\n";
  auto verify = [&](const std::string& text, const std::string& more = {}) {
    std::ofstream{log, std::ios::trunc} << text;
    return exit_code_of("sim verify " + log + more);
  };
  CHECK(verify(good + reply + end) == 0);
  CHECK(verify(good + reply + end, " --json") == 0);
  CHECK(verify(good + end) == 1);
  CHECK(verify(good + reply + reply + end) == 1);
  CHECK(verify(good + reply) == 2);
  CHECK(verify("nothing of ours\n") == 2);
  CHECK(exit_code_of("sim verify " + dir.file("absent")) == 2);
}
