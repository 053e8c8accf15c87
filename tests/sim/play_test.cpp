#include "sim/verify.hpp"
#include "tests/sim/toy_bot.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace troupe::sim::test;

namespace {

sim_options played(toy_bot& bot, const std::string& log) {
  sim_options how;
  how.webhook_url = bot.url();
  how.log_file = log;
  how.users.users = 20;
  how.users.groups = 4;
  how.users.rate = 0;
  how.users.in_flight = 20;
  how.users.count = 400;
  how.bot.limits = {0, 0, 0};
  how.feed.time_scale = 0.02;
  return how;
}

verdict play(toy_bot& bot, sim_options how) {
  auto log = how.log_file;
  auto sim = start(std::move(how));
  bot.talk_to(sim->port());
  REQUIRE(ends(*sim));
  sim->stop();
  CHECK(sim->state().now == phase::settled);
  auto v = verify_file(log, {});
  REQUIRE(v.has_value());
  return *v;
}

}  // namespace

TEST_CASE("simulator: a whole run is played, settles, and proves itself") {
  temp_dir dir;
  toy_bot bot{"s3cret"};
  auto how = played(bot, dir.file("log"));
  how.webhook_secret = "s3cret";
  auto v = play(bot, how);
  CHECK(v.ok());
  CHECK(v.updates == 400);
  CHECK(v.replies == 400);
  CHECK(v.lost == 0);
}

TEST_CASE("simulator: faults and redeliveries leave a careful bot intact") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.bot.rates = {0.1, 0.1, 0};
  how.feed.resend = 0.3;
  how.users.blocked = 0.2;
  auto v = play(bot, how);
  CHECK(v.ok());
  CHECK(v.faults > 20);
  CHECK(v.redelivered > 50);
  CHECK(v.excused_duplicates > 5);
  CHECK(v.duplicates == 0);
  CHECK(v.undeliverable > 0);
}

TEST_CASE("G2: simulator: a bot that forgets what it has seen is caught") {
  temp_dir dir;
  toy_bot bot;
  bot.dedup = false;
  auto how = played(bot, dir.file("log"));
  how.feed.resend = 0.1;
  auto v = play(bot, how);
  CHECK_FALSE(v.ok());
  CHECK(v.state_errors > 0);
}

TEST_CASE("G2: simulator: a bot that miscounts is caught") {
  temp_dir dir;
  toy_bot bot;
  bot.miscount_every = 300;
  auto v = play(bot, played(bot, dir.file("log")));
  CHECK_FALSE(v.ok());
  CHECK(v.state_errors > 0);
  CHECK(v.lost == 0);
}

TEST_CASE("G7: simulator: a bot without a limiter is caught") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.users.count = 30;
  how.users.users = 2;
  how.users.groups = 1;
  how.bot.limits = {0, 3, 0};
  auto v = play(bot, how);
  CHECK_FALSE(v.ok());
  CHECK(v.limit_violations_chat > 0);
  CHECK(v.limit_violations() == v.answers_429);
  CHECK(v.retry_after_violations == 0);
  CHECK(v.lost == 0);
}

TEST_CASE("simulator: an outage holds deliveries back, the burst comes after") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.users.rate = 50;
  how.users.count.reset();
  how.users.duration = 2;
  how.users.bursts = {{300, 1.0}};
  how.outages = {{0.5, 1.0}};
  auto v = play(bot, how);
  CHECK(v.ok());
  CHECK(v.updates >= 300);
  CHECK(v.end_to_end_ms.max >= 200);
}

TEST_CASE("simulator: stopping early leaves a log that can be judged") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.users.count.reset();
  auto sim = start(how);
  bot.talk_to(sim->port());
  REQUIRE(eventually([&] { return sim->state().sent > 100; }));
  sim->stop();
  auto v = verify_file(dir.file("log"), {});
  REQUIRE(v.has_value());
  CHECK(v->end == "stopped");
  CHECK(v->replies > 100);
  CHECK(v->state_errors == 0);
}

TEST_CASE("simulator: users wait for the bot, and give up in time") {
  temp_dir dir;
  sim_options how;
  how.users.users = 3;
  how.log_file = dir.file("log");
  how.wait_bot = 300ms;
  auto sim = start(how);
  REQUIRE(ends(*sim));
  CHECK(sim->state().now == phase::no_bot);
  CHECK(sim->state().updates == 0);
  sim->stop();
  CHECK_FALSE(verify_file(dir.file("log"), {})->ok());
}

TEST_CASE(
    "G1: simulator: a run over getUpdates is judged by what is confirmed") {
  temp_dir dir;
  sim_options how;
  how.log_file = dir.file("log");
  how.users.users = 3;
  how.users.rate = 0;
  how.users.in_flight = 4;
  how.users.count = 30;
  how.bot.limits = {0, 0, 0};
  auto sim = start(how);
  caller c{sim->port()};
  std::map<std::int64_t, int> counts;
  std::int64_t offset = 0;
  REQUIRE(eventually([&] {
    auto page =
        *parse_json(c.bot("getUpdates", R"({"timeout":1,"offset":)" +
                                            std::to_string(offset) + '}')
                        .body);
    for (auto& u : page.at("result").as_array()) {
      offset = u.at("update_id").as_int64() + 1;
      auto& m = u.at("message").as_object();
      auto chat = m.at("chat").at("id").as_int64();
      json::object reply{
          {"chat_id", chat},
          {"text", "n=" + std::to_string(++counts[chat]) +
                       " text=" + std::string{m.at("text").as_string()}}};
      REQUIRE(c.bot("sendMessage", json::serialize(reply)).status == 200);
    }
    return sim->state().now == phase::settled;
  }));
  sim->stop();
  auto v = verify_file(dir.file("log"), {});
  REQUIRE(v.has_value());
  CHECK(v->ok());
  CHECK(v->accepted == 30);
  CHECK(v->replies == 30);
}
