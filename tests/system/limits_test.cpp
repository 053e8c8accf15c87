#include <csignal>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

/// As many chats as the limits are made for, and more to say than they let
/// through.
std::vector<std::string> crowd(const std::string& duration) {
  return {"--users",        "200", "--groups",   "20",     "--rate",   "0",
          "--in-flight",    "300", "--duration", duration, "--settle", "300",
          "--answer-delay", "30"};
}

void settle(stage& on) {
  const bool over = eventually(
      [&] {
        const std::string now = on.phase();
        REQUIRE(on.bot().running());
        return now == "settled" || now == "unsettled" || now == "no_bot";
      },
      seconds{600});
  REQUIRE(over);
  REQUIRE(eventually([&] { return on.idle(); }));
}

void check_all_arrived(const json::object& v) {
  INFO(json::serialize(v));
  CHECK(v.at("end") == json::value("settled"));
  CHECK(number(v, "accepted") == number(v, "updates"));
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "order_violations") == 0);
  CHECK(number(v, "state_errors") == 0);
  CHECK(number(v, "duplicates") == 0);
  CHECK(number(v, "overlapping_calls") == 0);
}

void check_limits(const json::object& v) {
  INFO(json::serialize(v));
  CHECK(number(v, "limit_violations") == 0);
  CHECK(number(v, "attempt_violations") == 0);
  CHECK(number(v, "answers_429") == number(v, "answers_429_unprovoked"));
  CHECK(number(v, "retry_after_violations") == 0);
}

}  // namespace

TEST_CASE(
    "G7: 200 private chats and 20 groups at saturation overfill no "
    "window") {
  // A call that reaches us a second late is the machine's fault, not the
  // limiter's: it is told to expect that.
  stage on{
      crowd("12"),
      {{"TROUPE_LIMITS_MARGIN_MS", "10000"}, {"TROUPE_LOG_LEVEL", "warn"}}};
  on.start_bot();
  settle(on);
  on.stop();
  const json::object v = on.verdict();
  check_all_arrived(v);
  check_limits(v);
  CHECK(number(v, "replies") > 200);
}

TEST_CASE(
    "G7: a minute at saturation overfills no window and leaves less than "
    "3 % of the budget unused",
    "[.long]") {
  stage on{crowd("60"), {{"TROUPE_LOG_LEVEL", "warn"}}};
  on.start_bot();
  settle(on);
  on.stop();
  const json::object v = on.verdict({"--stretch", "50"});
  check_all_arrived(v);
  check_limits(v);
  INFO(json::serialize(v));
  WARN("global budget used over 50 s: "
       << v.at("global_utilisation").to_number<double>());
  CHECK(v.at("global_utilisation").to_number<double>() >= 0.97);
}

TEST_CASE(
    "G8: after a 429 nothing leaves before retry_after is over, and then "
    "everything, in order") {
  stage on{
      {"--users", "60", "--groups", "4", "--rate", "0", "--in-flight", "100",
       "--count", "250", "--settle", "300", "--flood", "0.03"},
      {{"TROUPE_LIMITS_MARGIN_MS", "10000"}, {"TROUPE_LOG_LEVEL", "error"}}};
  on.start_bot();
  settle(on);
  on.stop();
  const json::object v = on.verdict();
  check_all_arrived(v);
  check_limits(v);
  CHECK(number(v, "answers_429_unprovoked") > 0);
  CHECK(number(v, "replies") == 250);
}
