#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

std::vector<std::string> no_limits() {
  return {"--global-per-second", "0", "--chat-per-second", "0",
          "--group-per-minute",  "0", "--time-scale",      "0.1"};
}

stage::environment unlimited() {
  return {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
          {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
          {"TROUPE_LIMITS_GROUP_PER_MINUTE", "0"},
          {"TROUPE_LOG_LEVEL", "debug"}};
}

/// A bot that reaches nobody, for starts that fail anyway.
launch lonely(const scratch& in, std::vector<std::string> args = {"run"}) {
  launch what;
  what.program = built("counter");
  what.args = std::move(args);
  what.folder = in.path();
  what.output = "lonely";
  what.environment = {{"TROUPE_BOT_TOKEN", token},
                      {"TROUPE_WEBHOOK_SECRET", secret},
                      {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:9"},
                      {"TROUPE_WEBHOOK_LISTEN", "127.0.0.1:0"},
                      {"TROUPE_STATS_LISTEN", ""},
                      {"TROUPE_STORE_URL", "sqlite:" + (in / "bot.db")},
                      {"TROUPE_LOG_LEVEL", "debug"}};
  return what;
}

void check_silent(const std::string& said) {
  CHECK_FALSE(has(said, token));
  CHECK_FALSE(has(said, token.substr(token.find(':') + 1)));
  CHECK_FALSE(has(said, secret));
}

void check_quiet(const ending& how) {
  check_silent(how.out + how.err);
}

/// Every file of the store, by name.
std::map<std::string, std::string> bytes_of(const scratch& in) {
  std::map<std::string, std::string> out;
  for (const auto& one : std::filesystem::directory_iterator{in.path()}) {
    const std::string name = one.path().filename().string();
    if (name.starts_with("bot.db"))
      out[name] = read_file(one.path().string());
  }
  return out;
}

/// A sound store with something in it.
void make_store(const scratch& in) {
  stage on{no_limits(), unlimited()};
  on.settings()["TROUPE_STORE_URL"] = "sqlite:" + (in / "bot.db");
  on.start_bot();
  for (int n = 1; n <= 50; ++n)
    on.write(n, "t" + std::to_string(n));
  REQUIRE(eventually([&] { return on.idle(); }));
  on.stop();
}

void overwrite(const std::string& file, std::streamoff at,
               const std::string& bytes) {
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp(at);
  out << bytes;
  REQUIRE(out.good());
}

void stopped_by(int signal_number) {
  stage on{no_limits(), unlimited()};
  on.start_bot();
  for (int n = 1; n <= 300; ++n) {
    on.write(1 + n % 30, "t" + std::to_string(n));
    if (n == 150)
      on.bot().signal(signal_number);
  }
  CHECK(on.bot().wait() == 0);
  // A drain leaves nothing half done: another start finishes the rest.
  on.start_bot();
  REQUIRE(eventually([&] { return on.idle(); }));
  on.stop();
  const json::object v = on.verdict();
  INFO(json::serialize(v));
  CHECK(number(v, "accepted") == 300);
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "duplicates") == 0);
  CHECK(v.at("ok") == json::value(true));
  check_silent(on.said());
}

}  // namespace

TEST_CASE(
    "SIGTERM in the middle of the work ends the bot with 0, and the next "
    "start finishes it") {
  stopped_by(SIGTERM);
}

TEST_CASE(
    "Ctrl-C in the middle of the work ends the bot with 0, and the next "
    "start finishes it") {
  stopped_by(SIGINT);
}

TEST_CASE(
    "a second bot on the same store is told so and ends with 1; the "
    "first is unharmed") {
  stage on{no_limits(), unlimited()};
  on.start_bot();
  on.write(5, "t1");
  REQUIRE(eventually([&] { return on.idle(); }));
  auto second = on.settings();
  second["TROUPE_WEBHOOK_LISTEN"] = "127.0.0.1:0";
  second["TROUPE_STATS_LISTEN"] = "";
  const auto first = std::exchange(on.settings(), second);
  const ending how = on.command({"run"});
  on.settings() = first;
  INFO(how.err);
  CHECK(how.code == 1);
  CHECK(has(how.err, "is held by another instance"));
  on.write(5, "t2");
  REQUIRE(eventually([&] { return on.idle(); }));
  on.stop();
  CHECK(on.verdict().at("ok") == json::value(true));
  CHECK(on.calls().back().text == "n=2 text=t2");
  check_silent(on.said());
}

TEST_CASE(
    "a wrong configuration stops the start with 78 and names file, line "
    "and the nearest key") {
  const scratch files;
  files.write("troupe.toml",
              "[store]\nurl = \"sqlite:./x.db\"\n\n[limits]\n"
              "global_per_secnd = 30\n");
  const ending typo = finish(lonely(files));
  INFO(typo.err);
  CHECK(typo.code == 78);
  CHECK(has(typo.err, "troupe.toml:5"));
  CHECK(has(typo.err, "limits.global_per_second"));

  files.write("troupe.toml", "[limits]\nglobal_per_second = \"thirty\"\n");
  const ending type = finish(lonely(files));
  INFO(type.err);
  CHECK(type.code == 78);
  CHECK(has(type.err, "troupe.toml:2"));

  files.write("troupe.toml", "[limits\n");
  const ending syntax = finish(lonely(files));
  INFO(syntax.err);
  CHECK(syntax.code == 78);
  CHECK(has(syntax.err, "troupe.toml:1"));

  // A secret in the wrong place is not repeated.
  files.write("troupe.toml", "[bot]\ntoken = \"" + token + "\"\n");
  const ending leak = finish(lonely(files));
  CHECK(leak.code == 78);
  for (const ending& how : {typo, type, syntax, leak})
    check_quiet(how);
  CHECK_FALSE(std::filesystem::exists(files / "bot.db"));
}

TEST_CASE("wrong usage ends with 2, a missing token with 78, help with 0") {
  const scratch files;
  const ending flag = finish(lonely(files, {"run", "--store-ur", "sqlite:x"}));
  INFO(flag.err);
  CHECK(flag.code == 2);
  CHECK(has(flag.err, "--store-url"));
  const ending word = finish(lonely(files, {"rnu"}));
  CHECK(word.code == 2);
  auto without = lonely(files);
  without.environment.erase("TROUPE_BOT_TOKEN");
  const ending bare = finish(without);
  CHECK(bare.code == 78);
  CHECK(has(bare.err, "TROUPE_BOT_TOKEN"));
  const ending help = finish(lonely(files, {"--help"}));
  CHECK(help.code == 0);
  CHECK(has(help.out, "dead-letters retry"));
  // The token as a flag would be in every process list.
  const ending told = finish(lonely(files, {"run", "--bot-token", token}));
  CHECK(told.code == 2);
  for (const ending& how : {flag, word, bare, help, told})
    check_quiet(how);
}

TEST_CASE("a damaged database stops the start with 1 and keeps its bytes") {
  const scratch files;
  make_store(files);
  const std::string db = files / "bot.db";
  const std::string sound = read_file(db);
  REQUIRE(sound.size() > 8'192);
  const auto refused = [&] {
    const auto before = bytes_of(files);
    const ending how = finish(lonely(files));
    INFO(how.err);
    CHECK(how.code == 1);
    CHECK(has(how.err, "store.url sqlite:"));
    const auto after = bytes_of(files);
    CHECK(before.at("bot.db") == after.at("bot.db"));
    check_quiet(how);
  };
  SECTION("not a database") {
    files.write("bot.db",
                "It was a dark and stormy night." + std::string(10'000, '.'));
    refused();
  }
  SECTION("an empty file") {
    files.write("bot.db", "");
    refused();
  }
  SECTION("cut short") {
    files.write("bot.db", sound.substr(0, sound.size() / 2));
    refused();
  }
  SECTION("pages overwritten") {
    for (std::streamoff page = 4'096;
         page + 4'096 <= std::streamoff(sound.size()); page += 4'096)
      overwrite(db, page, std::string(64, '\xA5'));
    refused();
  }
  SECTION("another application's database") {
    overwrite(db, 68, "ABCD");
    refused();
  }
  SECTION("a later format") {
    overwrite(db, 60, std::string("\x7F\0\0\0", 4));
    refused();
  }
}

TEST_CASE("a port in use stops the start with 1 and names the key") {
  const scratch files;
  stage other{no_limits()};
  const std::string taken = "127.0.0.1:" + std::to_string(other.sim_port());
  for (const char* key : {"TROUPE_WEBHOOK_LISTEN", "TROUPE_STATS_LISTEN"}) {
    auto what = lonely(files);
    what.environment[key] = taken;
    const ending how = finish(what);
    INFO(how.err);
    CHECK(how.code == 1);
    CHECK(has(how.err, taken));
    check_quiet(how);
  }
}

TEST_CASE("a folder that can't be written to stops the start with 1") {
  const scratch files;
  const std::string folder = files / "locked";
  std::filesystem::create_directory(folder);
  auto what = lonely(files);
  what.environment["TROUPE_STORE_URL"] = "sqlite:" + folder + "/bot.db";
  if (::geteuid() == 0) {
    // Root may write everywhere: another user, whose program lies where that
    // user can start it.
    what.program = files / "counter";
    std::filesystem::copy_file(built("counter"), what.program);
    what.as_nobody = true;
    REQUIRE(::chmod(files.path().c_str(), 0755) == 0);
  }
  REQUIRE(::chmod(folder.c_str(), 0555) == 0);
  const ending how = finish(what);
  INFO(how.err);
  CHECK(how.code == 1);
  CHECK(has(how.err, "store.url sqlite:"));
  CHECK(std::filesystem::is_empty(folder));
  check_quiet(how);
}
