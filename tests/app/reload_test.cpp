#include "app/reload.hpp"

#include "tests/app/running.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("limits, update kinds and log level change; the rest is named") {
  const settings now = default_settings();
  settings wanted = now;
  CHECK(plan_reload(now, wanted).changed.empty());
  wanted.limits_global_per_second = 20;
  wanted.limits_chat_per_second = 0;
  wanted.bot_allowed_updates = "message";
  wanted.log_level = "debug";
  wanted.store_url = "redis://user:secret@host";
  wanted.bot_token = "5:secret";
  const auto plan = plan_reload(now, wanted);
  CHECK(plan.changed == texts{"bot.allowed_updates: default -> message",
                              "limits.global_per_second: 30 -> 20",
                              "limits.chat_per_second: 1 -> 0",
                              "log.level: info -> debug"});
  CHECK(plan.restart == texts{"bot.token", "store.url"});
  CHECK(plan.next.limits_global_per_second == 20);
  CHECK(plan.next.log_level == "debug");
  CHECK(plan.next.store_url == now.store_url);
  CHECK(plan.next.bot_token == now.bot_token);
}

TEST_CASE("a global limit can't come or go while the bot runs") {
  settings now = default_settings();
  settings wanted = now;
  wanted.limits_global_per_second = 0;
  CHECK(plan_reload(now, wanted).restart == texts{"limits.global_per_second"});
  CHECK(plan_reload(now, wanted).next.limits_global_per_second == 30);
  CHECK(plan_reload(wanted, now).restart == texts{"limits.global_per_second"});
}

TEST_CASE("reload asks the running node, and says what it can't take") {
  stage s;
  auto env = s.environment();
  env.erase("TROUPE_LIMITS_CHAT_PER_SECOND");
  env.erase("TROUPE_LOG_LEVEL");
  env["TROUPE_CONFIG"] =
      s.folder.write("bot.toml", "[log]\nlevel = \"warn\"\n");
  CHECK(has(run_bot({"reload"}, env).err, "no node answers"));
  running_bot bot{env};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  CHECK(has(run_bot({"reload"}, env).err, "nothing is different"));
  s.folder.write("bot.toml",
                 "[log]\nlevel = \"error\"\n[limits]\nchat_per_second = 3\n"
                 "[drain]\nseconds = 11\n");
  const auto got = run_bot({"reload"}, env);
  CHECK(got.code == 0);
  CHECK(got.out ==
        "limits.chat_per_second: 1 -> 3\nlog.level: warn -> error\n"
        "drain.seconds: needs a restart\n");
  // What the node has taken is what it compares with next time.
  CHECK(run_bot({"reload"}, env).out == "drain.seconds: needs a restart\n");
  http::request stranger;
  stranger.method = "POST";
  stranger.target = "/admin/reload";
  CHECK(s.ask(s.stats, stranger) == 401);
  CHECK(bot.stop() == 0);
}
