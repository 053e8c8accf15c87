#include <algorithm>
#include <sstream>
#include <string>

#include "app/command_line.hpp"
#include "app/settings.hpp"
#include "tests/app/support.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

const std::string source = TROUPE_SOURCE_DIR;

loaded defaults() {
  loaded out;
  out.values = default_settings();
  return out;
}

}  // namespace

// Both files are written by the program itself; after a change of the table:
//   build/dev/bin/counter check --print-config > config/troupe.toml
TEST_CASE("config/troupe.toml is what check --print-config prints") {
  CHECK(read_file(source + "/config/troupe.toml") == print_config(defaults()));
}

TEST_CASE("the help text is the one in tests/app/help.txt") {
  CHECK(read_file(source + "/tests/app/help.txt") == help_text("shopbot"));
}

TEST_CASE("the help fits a terminal and names every key") {
  const std::string help = help_text("shopbot");
  std::istringstream lines{help};
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(line.size() <= 80);
  }
  for (const key_spec& key : keys()) {
    INFO(key.name);
    CHECK(has(help, key.secret ? environment_of(key) : flag_of(key)));
  }
}

TEST_CASE("the printed configuration, its comments taken off, is taken back") {
  const temporary_folder folder;
  std::istringstream lines{print_config(defaults())};
  std::string bare;
  for (std::string line; std::getline(lines, line);) {
    const bool value = line.starts_with('#') && !line.starts_with("# ");
    bare += value ? line.substr(1) + '\n' : line + '\n';
  }
  sources from;
  from.file = folder.write("t.toml", bare);
  const auto got = load_settings(from);
  INFO((got ? std::string{} : got.error().context));
  REQUIRE(got.has_value());
  for (const key_spec& key : keys()) {
    INFO(key.name);
    CHECK(got->from.contains(std::string{key.name}) == !key.secret);
  }
  // Given now, so printed without the comment mark; and again the same.
  const std::string printed = print_config(*got);
  sources again;
  again.file = folder.write("again.toml", printed);
  const auto twice = load_settings(again);
  REQUIRE(twice.has_value());
  CHECK(print_config(*twice) == printed);
}

TEST_CASE("G12: the printed configuration holds no secret") {
  const std::string token = "3300:CCHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
  const auto how = run_bot({"check", "--print-config", "--node-name", "a\"b"},
                           {{"TROUPE_BOT_TOKEN", token},
                            {"TROUPE_STATS_TOKEN", "0123456789abcdef-x"}});
  CHECK(how.code == 0);
  CHECK(has(how.out, "\nname = \"a\\\"b\"\n"));
  CHECK_FALSE(has(how.out, "CCHdq"));
  CHECK_FALSE(has(how.out, "0123456789abcdef-x"));
}

TEST_CASE("--config and TROUPE_CONFIG name the file, the flag first") {
  const temporary_folder folder;
  const std::string one = folder.write("1.toml", "[node]\nname = \"one\"\n");
  const std::string two = folder.write("2.toml", "[node]\nname = \"two\"\n");
  const auto flag = run_bot({"--config", one, "check", "--print-config"},
                            {{"TROUPE_CONFIG", two}});
  CHECK(has(flag.out, "name = \"one\""));
  const auto variable =
      run_bot({"check", "--print-config"}, {{"TROUPE_CONFIG", two}});
  CHECK(has(variable.out, "name = \"two\""));
  CHECK(run_bot({"--config", folder / "none", "run"}, {}).code == 78);
}
