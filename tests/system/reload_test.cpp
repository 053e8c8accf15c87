#include <csignal>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

std::int64_t global_limit(stage& on) {
  return number(on.stats().at("global_limit").get_object(), "limit");
}

void configure(stage& on, const std::string& text) {
  on.folder().write("bot.toml", text);
}

}  // namespace

TEST_CASE(
    "SIGHUP has a bot take other limits; a wrong file changes nothing and "
    "says why") {
  stage on{{"--chat-per-second", "0"}};
  on.settings()["TROUPE_CONFIG"] = on.folder() / "bot.toml";
  configure(on, "[limits]\nglobal_per_second = 30\nchat_per_second = 0\n");
  on.start_bot();
  CHECK(global_limit(on) == 30);

  configure(on, "[limits]\nglobal_per_second = 12\nchat_per_second = 0\n");
  on.bot().signal(SIGHUP);
  CHECK(eventually([&] { return global_limit(on) == 12; }));
  CHECK(has(on.bot().err(), "limits.global_per_second: 30 -> 12"));

  configure(on,
            "[limits]\nglobal_per_second = 7\nchat_per_secnd = 1\n"
            "[log]\nlevel = \"debug\"\n");
  on.bot().signal(SIGHUP);
  CHECK(eventually([&] { return has(on.bot().err(), "reload_refused"); }));
  CHECK(has(on.bot().err(), "bot.toml:3"));
  CHECK(has(on.bot().err(), "chat_per_second"));  // the nearest known one
  CHECK(global_limit(on) == 12);
  const auto refused = on.command({"reload"});
  CHECK(refused.code == 78);
  CHECK(global_limit(on) == 12);

  // It serves as before, and drains as before.
  on.write(5, "t1");
  CHECK(eventually([&] { return on.idle(); }));
  configure(on, "[limits]\nglobal_per_second = 25\nchat_per_second = 0\n");
  const auto taken = on.command({"reload"});
  CHECK(taken.code == 0);
  CHECK(taken.out == "limits.global_per_second: 12 -> 25\n");
  CHECK(global_limit(on) == 25);
  on.stop();
}
