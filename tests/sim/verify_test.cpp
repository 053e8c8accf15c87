#include "sim/verify.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/json.hpp"
#include "sim/report.hpp"
#include "tests/sim/log_script.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace troupe::sim::test;

TEST_CASE("verify: a clean log passes, with its figures") {
  auto v = judge(clean().ended());
  REQUIRE(v.has_value());
  CHECK(v->ok());
  CHECK(v->updates == 3);
  CHECK(v->accepted == 3);
  CHECK(v->replies == 3);
  CHECK(v->lost == 0);
  CHECK(v->accept_ms.p50 == 3);
  CHECK(v->accept_ms.max == 4);
  CHECK(v->end_to_end_ms.p50 == 10);
  CHECK(v->end_to_end_ms.max == 1000);
  for (auto name : {"G1", "G2", "G3", "G4", "G5", "G7"})
    CHECK(state_of(*v, name) == ok);
  for (auto name : {"G6", "G8", "G9"})
    CHECK(state_of(*v, name) == not_exercised);
}

TEST_CASE("G1: verify: an accepted update without a reply is lost") {
  auto s = clean();
  s.update(13, 2, "b-2", 3'000'000).deliver(13, 3'000'000, 3'001'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->lost == 1);
  CHECK(state_of(*v, "G1") == broken);
  CHECK_FALSE(v->ok());
}

TEST_CASE("G1: verify: what polling confirmed is accepted as well") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .update(11, 2, "b-1", 1'000'000)
      .raw(R"({"e":"poll","t":1100000,"offset":0,"count":2})")
      .raw(R"({"e":"confirm","t":1200000,"below":11,"count":1})")
      .reply(1, "n=1 text=a-1", 1'300'000)
      .raw(R"({"e":"confirm","t":1400000,"below":12,"count":1})");
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->accepted == 2);
  CHECK(v->lost == 1);
}

TEST_CASE("verify: an update that was never accepted is not lost, but open") {
  auto s = clean();
  s.update(13, 2, "b-2", 3'000'000).deliver(13, 3'000'000, 3'001'000, 503);
  auto v = judge(s.ended("unsettled"));
  REQUIRE(v.has_value());
  CHECK(v->lost == 0);
  CHECK(v->undelivered == 1);
  CHECK(v->failed_deliveries == 1);
  CHECK_FALSE(v->complete());
  CHECK_FALSE(v->ok());
}

TEST_CASE("verify: a run without a bot proves nothing") {
  auto v = judge(script{}.ended("no_bot"));
  REQUIRE(v.has_value());
  CHECK_FALSE(v->ok());
}

TEST_CASE("G2: verify: a text that was counted twice is found") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .update(11, 1, "a-2", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .deliver(10, 1'002'000, 1'003'000)
      .deliver(11, 1'003'000, 1'004'000)
      .reply(1, "n=1 text=a-1", 1'010'000)
      .reply(1, "n=3 text=a-2", 2'100'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->redelivered == 1);
  CHECK(v->state_errors == 1);
  CHECK(state_of(*v, "G2") == broken);
}

TEST_CASE("G2: verify: a state that was lost is found") {
  script s;
  for (int i = 0; i < 3; ++i)
    s.update(10 + i, 1, "a-" + std::to_string(i + 1), 1'000'000)
        .deliver(10 + i, 1'000'000, 1'001'000);
  s.reply(1, "n=1 text=a-1", 1'010'000)
      .reply(1, "n=1 text=a-2", 2'100'000)
      .reply(1, "n=2 text=a-3", 3'200'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->state_errors == 2);
  CHECK(v->lost == 0);
}

TEST_CASE("G2: verify: a reply to a text nobody wrote is found") {
  auto s = clean();
  s.reply(2, "n=2 text=made-up", 3'000'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->state_errors == 1);
}

TEST_CASE("G3: verify: replies out of order are found") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .update(11, 1, "a-2", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .deliver(11, 1'001'000, 1'002'000)
      .reply(1, "n=2 text=a-2", 1'010'000)
      .reply(1, "n=1 text=a-1", 2'100'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->order_violations == 1);
  CHECK(v->state_errors == 0);
  CHECK(v->lost == 0);
  CHECK(state_of(*v, "G3") == broken);
}

TEST_CASE("G4: verify: a state without its reply is found") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .update(11, 1, "a-2", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .deliver(11, 1'001'000, 1'002'000)
      .reply(1, "n=2 text=a-2", 1'010'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->torn_turns == 1);
  CHECK(v->lost == 1);
  CHECK(state_of(*v, "G4") == broken);
}

TEST_CASE("G5: verify: a reply that came twice is found, unless allowed") {
  auto s = clean();
  s.reply(2, "n=1 text=b-1", 4'000'000);
  auto log = s.ended();
  auto v = judge(log);
  REQUIRE(v.has_value());
  CHECK(v->duplicates == 1);
  CHECK(state_of(*v, "G5") == broken);
  auto allowed = judge(log, {1, 10});
  REQUIRE(allowed.has_value());
  CHECK(allowed->duplicates == 1);
  CHECK(allowed->ok());
}

TEST_CASE("G5: verify: a duplicate is excused once per answer we lost") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .reply(1, "n=1 text=a-1", 1'010'000,
             R"(,"recorded":true,"code":200,"fault":"drop")")
      .reply(1, "n=1 text=a-1", 3'000'000);
  auto once = judge(s.ended());
  REQUIRE(once.has_value());
  CHECK(once->excused_duplicates == 1);
  CHECK(once->duplicates == 0);
  CHECK(once->ok());
  s.reply(1, "n=1 text=a-1", 5'000'000);
  auto twice = judge(s.ended());
  REQUIRE(twice.has_value());
  CHECK(twice->duplicates == 1);
  CHECK_FALSE(twice->ok());
}

TEST_CASE("G5: verify: a 502 before the message was made excuses nothing") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .reply(1, "n=1 text=a-1", 1'010'000, R"(,"code":502,"fault":"502")")
      .reply(1, "n=1 text=a-1", 3'000'000)
      .reply(1, "n=1 text=a-1", 5'000'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->duplicates == 1);
}

TEST_CASE("G7: verify: a window that holds too much is found") {
  auto tight = R"("global_per_second":3,"chat_per_second":1,)"
               R"("group_per_minute":2)";
  SECTION("of a chat") {
    script s{tight};
    s.reply(1, "hi", 1'000'000).reply(1, "hi", 1'999'999);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    CHECK(v->limit_violations_chat == 1);
    CHECK(v->limit_violations() == 1);
    CHECK(state_of(*v, "G7") == broken);
  }
  SECTION("not if a whole second is between") {
    script s{tight};
    s.reply(1, "hi", 1'000'000).reply(1, "hi", 2'000'000);
    CHECK(judge(s.ended())->limit_violations() == 0);
  }
  SECTION("of a group") {
    script s{tight};
    for (int i = 0; i < 3; ++i)
      s.reply(-5, "hi", 1'000'000 + i * 20'000'000);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    CHECK(v->limit_violations_group == 1);
    CHECK(v->limit_violations() == 1);
  }
  SECTION("of the bot") {
    script s{tight};
    for (int i = 0; i < 4; ++i)
      s.reply(i + 1, "hi", 1'000'000 + i * 100'000);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    CHECK(v->limit_violations_global == 1);
    CHECK(v->limit_violations() == 1);
  }
  SECTION("edits count") {
    script s{tight};
    s.reply(1, "hi", 1'000'000)
        .raw(R"({"e":"call","t":1500000,"method":"editMessageText","chat":1,)"
             R"("text":"x","t_in":1500000,"t_out":1500000,"code":200,)"
             R"("recorded":true})");
    CHECK(judge(s.ended())->limit_violations_chat == 1);
  }
  SECTION("a refusal by a limit counts, for it came too early") {
    script s{tight};
    s.refused(1, 1'000'000, R"("limit":"group")");
    auto v = judge(s.ended());
    CHECK(v->limit_violations_group == 1);
    CHECK(v->answers_429 == 1);
    CHECK(v->answers_429_unprovoked == 0);
  }
}

TEST_CASE("G7: verify: a flood of ours is no violation of the bot's") {
  auto s = clean();
  s.refused(5, 3'000'000, R"("fault":"429")");
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->answers_429 == 1);
  CHECK(v->answers_429_unprovoked == 1);
  CHECK(v->limit_violations() == 0);
  CHECK(state_of(*v, "G8") == ok);
  CHECK(v->ok());
}

TEST_CASE("G8: verify: a call before retry_after is over is found") {
  for (auto [later, violations] :
       {std::pair{1'999'999, 1u}, std::pair{2'000'000, 0u}}) {
    script s;
    s.refused(5, 3'000'000, R"("fault":"429")", 2)
        .reply(6, "hi", 4'000'000)
        .reply(5, "hi", 3'000'000 + later);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    INFO(later);
    CHECK(v->retry_after_violations == violations);
    CHECK((state_of(*v, "G8") == broken) == (violations > 0));
  }
}

TEST_CASE("G8: verify: what the simulator saw for the whole bot counts") {
  auto s = clean();
  s.refused(5, 3'000'000, R"("limit":"bot")");
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->retry_after_violations == 1);
  CHECK(v->limit_violations() == 0);
}

TEST_CASE("verify: a chat that refuses the bot loses nothing") {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .update(11, 1, "a-2", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .deliver(11, 1'001'000, 1'002'000)
      .reply(1, "n=1 text=a-1", 1'010'000, R"(,"code":403)");
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->lost == 0);
  CHECK(v->undeliverable == 2);
  CHECK(v->ok());
  s.reply(1, "n=7 text=a-2", 3'010'000, R"(,"code":403)");
  CHECK(judge(s.ended())->state_errors == 1);
}

TEST_CASE("verify: commands and other kinds are not counted") {
  script s;
  s.update(10, 1, "/start", 1'000'000)
      .raw(R"({"e":"update","t":1000000,"id":11,"chat":1,"user":1,)"
           R"("kind":"callback_query","text":""})")
      .update(12, 1, "a-1", 1'000'000)
      .deliver(10, 1'000'000, 1'001'000)
      .deliver(11, 1'000'000, 1'001'000)
      .deliver(12, 1'001'000, 1'002'000)
      .reply(1, "welcome", 1'010'000)
      .reply(1, "n=1 text=a-1", 2'100'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->texts == 1);
  CHECK(v->ok());
}

TEST_CASE("verify: ids that jump are followed") {
  script s;
  s.update(900, 1, "a-1", 1'000'000)
      .deliver(900, 1'000'000, 1'001'000)
      .update(40, 1, "a-2", 1'100'000)
      .update(41, 1, "a-3", 1'100'000)
      .deliver(40, 1'100'000, 1'102'000)
      .deliver(41, 1'102'000, 1'103'000)
      .reply(1, "n=1 text=a-1", 1'010'000)
      .reply(1, "n=2 text=a-2", 2'100'000)
      .reply(1, "n=3 text=a-3", 3'200'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->accepted == 3);
  CHECK(v->ok());
}

TEST_CASE("verify: the utilisation is that of the busiest stretch") {
  script s{R"("global_per_second":10,"chat_per_second":0,)"
           R"("group_per_minute":0)"};
  s.update(1, 1, "x", 0).deliver(1, 0, 1).reply(1, "n=1 text=x", 1);
  // 5 a second for 10 s, then 9 a second for 10 s.
  for (int i = 0; i < 50; ++i)
    s.reply(i, "hi", 1'000'000 + i * 200'000);
  for (int i = 0; i < 90; ++i)
    s.reply(i, "hi", 11'000'000 + i * 111'112);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->global_utilisation > 0.88);
  CHECK(v->global_utilisation < 0.92);
  CHECK(v->peak_replies_per_second >= 9);
}

TEST_CASE("verify: a truncated or foreign log is a clear error") {
  auto reason = [](const std::string& log) {
    auto v = judge(log);
    REQUIRE_FALSE(v.has_value());
    return v.error().context;
  };
  CHECK(reason("").find("empty") != std::string::npos);
  CHECK(reason("hello\n").find("line 1") != std::string::npos);
  CHECK(reason("{\"e\":\"config\",\"version\":99}\n").find("not a log") !=
        std::string::npos);
  CHECK(reason("{\"a\":1}\n").find("not a log") != std::string::npos);
  CHECK(reason(clean().text()).find("stops before the end") !=
        std::string::npos);
  auto damaged = clean();
  damaged.raw("{\"e\":\"upd");
  CHECK(reason(damaged.ended()).find("line 11") != std::string::npos);
}

TEST_CASE("verify: files are read, also while the simulator stays") {
  auto dir = std::filesystem::temp_directory_path() /
             ("troupe-verify-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  auto path = (dir / "log").string();
  auto write = [&](const std::string& text) {
    std::ofstream{path, std::ios::trunc} << text;
  };
  CHECK(verify_file((dir / "absent").string(), {}).error().code ==
        errc::not_found);
  auto whole = clean().ended();
  write(whole);
  CHECK(verify_file(path, {})->ok());
  write(whole + R"({"e":"call","t":)");
  CHECK(verify_file(path, {})->ok());
  write(clean().text() + R"({"e":"call","t":)");
  auto cut = verify_file(path, {});
  REQUIRE_FALSE(cut.has_value());
  CHECK(cut.error().context.find("cut off in line 11") != std::string::npos);
  std::filesystem::remove_all(dir);
}

TEST_CASE("report: the JSON has the keys that scripts read, the table all") {
  auto s = clean();
  s.update(13, 2, "b-2", 3'000'000).deliver(13, 3'000'000, 3'001'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  auto o = parse_json(to_json(*v));
  REQUIRE(o.has_value());
  for (auto key :
       {"lost", "duplicates", "excused_duplicates", "order_violations",
        "state_errors", "limit_violations", "limit_violations_global",
        "limit_violations_chat", "limit_violations_group",
        "retry_after_violations", "answers_429", "answers_429_unprovoked",
        "updates", "replies", "accept_ms", "end_to_end_ms",
        "replies_per_second", "global_utilisation", "ok"}) {
    INFO(key);
    CHECK(o->as_object().contains(key));
  }
  CHECK(o->at("lost").as_int64() == 1);
  CHECK_FALSE(o->at("ok").as_bool());
  CHECK(o->at("accept_ms").as_object().contains("p99"));
  auto table = to_table(*v);
  CHECK(table.find("G1") != std::string::npos);
  CHECK(table.find("BROKEN") != std::string::npos);
  CHECK(table.find("update 13") != std::string::npos);
}
