#include "tests/sim/log_script.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace troupe::sim::test;

namespace {

const std::string recorded = R"(,"recorded":true,"code":200,"status":200)";
const std::string no_limits =
    R"("global_per_second":0,"chat_per_second":0,"group_per_minute":0)";

std::string flooded(const std::string& more = {}) {
  return R"(,"code":429,"status":429,"retry_after":2,"fault":"429")" + more;
}

}  // namespace

TEST_CASE("G8: verify: a 429 holds for calls that are no sends, too") {
  for (auto [at, early] :
       {std::pair{4'999'999, 1u}, std::pair{5'000'000, 0u}}) {
    script s;
    s.call(5, "", 3'000'000, 3'000'000, flooded(), "sendChatAction")
        .call(6, "", 3'500'000, 3'500'000, R"(,"code":200)", "sendChatAction")
        .call(5, "", 3'500'000, 3'500'000, R"(,"code":200)", "deleteMessage")
        .call(5, "", at, at, R"(,"code":200)", "sendChatAction");
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    INFO(at);
    CHECK(v->answers_429 == 1);
    CHECK(v->retry_after_violations == early);
    CHECK(v->retry_after_violations_chat == early);
    CHECK((state_of(*v, "G8") == broken) == (early > 0));
  }
}

TEST_CASE("G8: verify: a 429 for an answered press is that press's alone") {
  script s;
  auto answer = [&](std::int64_t at, std::string query, std::string what) {
    s.call(0, "", at, at, what + R"(,"query":")" + query + '"',
           "answerCallbackQuery");
  };
  answer(3'000'000, "7", flooded());
  answer(3'500'000, "8", R"(,"code":200)");
  CHECK(judge(s.ended())->retry_after_violations == 0);
  answer(4'500'000, "7", R"(,"code":200)");
  CHECK(judge(s.ended())->retry_after_violations == 1);
}

TEST_CASE("G8: verify: the whole bot's freeze is judged apart") {
  script s;
  s.refused(5, 3'000'000, R"("fault":"429")", 1)
      .raw(R"({"e":"bot_freeze","t":3000000,"from":3250000,"until":4000000})")
      .reply(6, "hi", 3'249'999)
      .reply(7, "hi", 4'000'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->bot_freezes == 1);
  CHECK(state_of(*v, "G8") == ok);
  s.reply(8, "hi", 3'250'000);
  auto early = judge(s.ended());
  REQUIRE(early.has_value());
  CHECK(early->retry_after_violations == 1);
  CHECK(early->retry_after_violations_bot == 1);
  CHECK(early->retry_after_violations_chat == 0);
  CHECK(state_of(*early, "G8") == broken);
}

TEST_CASE("G5: verify: a chat's calls wait for one another") {
  auto overlaps = [](std::int64_t chat, std::int64_t at, std::string first,
                     std::string method = "sendMessage",
                     std::string second = recorded) {
    script s{no_limits};
    s.update(1, 1, "a", 0).deliver(1, 0, 1);
    s.call(1, "n=1 text=a", 3'000'000, 3'040'000, recorded + first)
        .call(chat, "x", at, at + 40'000, second, method);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    CHECK((state_of(*v, "G5") == broken) == (v->overlapping_calls > 0));
    CHECK(judge(s.ended(), {1, 10})->ok());
    return v->overlapping_calls;
  };
  CHECK(overlaps(1, 3'039'999, "") == 1);
  CHECK(overlaps(1, 3'040'000, "") == 0);
  CHECK(overlaps(2, 3'000'001, "") == 0);
  CHECK(overlaps(1, 3'000'001, "", "editMessageText") == 1);
  CHECK(overlaps(1, 3'000'001, "", "answerCallbackQuery") == 0);
  CHECK(overlaps(1, 3'000'001, "", "sendMessage", R"(,"code":502)") == 1);
  CHECK(overlaps(1, 3'000'001, R"(,"fault":"delay")") == 0);
  CHECK(overlaps(1, 3'000'001, R"(,"in_response":true)") == 0);
}

TEST_CASE("G5: verify: who was cut off has no answer to wait for") {
  script s{no_limits};
  s.update(1, 1, "a", 0).deliver(1, 0, 1);
  s.call(1, "n=1 text=a", 3'000'000, 3'040'000,
         R"(,"code":0,"status":0,"fault":"reset")")
      .call(1, "n=1 text=a", 3'010'000, 3'050'000, recorded);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->overlapping_calls == 0);
  CHECK(v->ok());
}

TEST_CASE("G7: verify: what failed fills a window as well, but for a 429") {
  for (auto [code, violations] :
       {std::pair{"502", 1u}, {"403", 1u}, {"400", 1u}, {"429", 0u}}) {
    script s{R"("global_per_second":30,"chat_per_second":1)"};
    s.reply(1, "hi", 1'000'000,
            R"(,"code":)" + std::string{code} + R"(,"fault":")" + code + '"')
        .reply(1, "hi", 1'900'000);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    INFO(code);
    CHECK(v->limit_violations() == 0);
    CHECK(v->attempt_violations == violations);
    CHECK((state_of(*v, "G7") == broken) == (violations > 0));
  }
}

TEST_CASE("G7: verify: failed calls count for the whole bot, too") {
  script s{R"("global_per_second":3)"};
  for (int i = 0; i < 4; ++i)
    s.reply(i + 1, "hi", 1'000'000 + i * 100'000,
            i == 0 ? R"(,"code":502)" : recorded);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->limit_violations() == 0);
  CHECK(v->attempt_violations == 1);
}
