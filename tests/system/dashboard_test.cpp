#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <iostream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

/// The first of these programs on the PATH; empty: none.
std::string on_path(std::initializer_list<const char*> names) {
  const char* const path = std::getenv("PATH");
  for (const char* name : names) {
    std::string rest = path == nullptr ? "/usr/bin" : path;
    while (!rest.empty()) {
      const auto end = std::min(rest.find(':'), rest.size());
      const auto file = std::filesystem::path{rest.substr(0, end)} / name;
      if (::access(file.c_str(), X_OK) == 0)
        return file.string();
      rest.erase(0, end + 1);
    }
  }
  return {};
}

constexpr int cannot_run = 77;  // what dashboard.mjs ends with
constexpr const char* bearer = "the-bearer-token-of-the-dashboard";

stage::environment dashboard_settings(const std::string& hold) {
  return {{"TROUPE_STATS_TOKEN", bearer},
          {"TROUPE_NODE_NAME", "n1"},
          {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
          {"TROUPE_TURN_ATTEMPTS", "2"},
          {"TROUPE_TURN_BACKOFF_MS", "20"},
          {"TROUPE_LOG_LEVEL", "error"},
          {"POISON_HOLD", hold}};
}

std::vector<std::string> gentle_load() {
  return {"--global-per-second",
          "30",
          "--chat-per-second",
          "0",
          "--group-per-minute",
          "0",
          "--users",
          "40",
          "--rate",
          "20",
          "--duration",
          "600",
          "--answer-delay",
          "20"};
}

}  // namespace

TEST_CASE("a person on call sees and acts by the dashboard, in a browser") {
  const auto node = on_path({"node", "nodejs"});
  const auto chromium = on_path({"chromium", "chromium-browser"});
  if (node.empty() || chromium.empty()) {
    std::cout << "SKIPPED: the dashboard in a browser: "
              << (node.empty() ? "nodejs" : "chromium")
              << " is not installed\n";
    return;
  }
  const scratch files;
  const std::string hold = files.write("hold", "");
  stage on{gentle_load(), dashboard_settings(hold), "poison_bot"};
  on.start_bot();
  on.write(7'001, "poison <img src=x onerror=alert(1)>");
  on.write(7'002, "poison, too");
  REQUIRE(eventually([&] {
    const json::object ours = on.stats();
    return number(ours.at("store").get_object(), "dead_letters") == 2;
  }));

  const char* const keep = std::getenv("TROUPE_TEST_PICTURES");
  launch what;
  what.program = node;
  what.args = {TROUPE_SOURCE_DIR "/tests/system/browser/dashboard.mjs",
               chromium,
               "http://127.0.0.1:" + std::to_string(on.stats_port()) + "/",
               hold, keep == nullptr ? files / "pictures" : keep};
  what.environment = {{"TOKEN", bearer}};
  what.folder = files.path();
  what.output = "browser";
  process person{what};
  const auto asks = [&](const char* thing) {
    return eventually(
        [&] { return !person.running() || has(person.out(), thing); },
        seconds{600});
  };
  CHECK(asks("please: kill"));
  if (!person.running() && person.wait() == cannot_run) {
    std::cout << "SKIPPED: the dashboard in a browser: " << person.out();
    on.stop();
    return;
  }
  if (has(person.out(), "please: kill")) {
    on.bot().signal(SIGKILL);
    on.bot().wait();
    CHECK(asks("please: start"));
    on.start_bot();
  }
  const int code = person.wait(seconds{600});
  INFO(person.out());
  INFO(person.err());
  CHECK(code == 0);
  CHECK(has(person.out(), "all well"));
  on.stop();
}

TEST_CASE("troupe top shows a running node, once, to a script") {
  stage on{{"--global-per-second", "0"}, {{"TROUPE_NODE_NAME", "n1"}}};
  on.start_bot();
  launch what;
  what.program = built("troupe");
  what.args = {"top", "--once", "--url",
               "http://127.0.0.1:" + std::to_string(on.stats_port())};
  what.folder = on.folder().path();
  what.output = "top";
  const ending seen = finish(what);
  INFO(seen.err);
  CHECK(seen.code == 0);
  CHECK(has(seen.out, "troupe top n1  ready  up "));
  CHECK(has(seen.out, "journal 0"));
  CHECK_FALSE(has(seen.out, "\x1b"));

  on.stop_bot();
  const ending gone = finish(what);
  CHECK(gone.code == 1);
  CHECK(gone.out.empty());
  CHECK(has(gone.err, "no answer"));
  on.stop_sim();
}
