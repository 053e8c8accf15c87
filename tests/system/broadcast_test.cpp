#include <algorithm>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

const std::string news = "News: pears are back.";

json::object page(stage& on, const std::string& id) {
  const ending shown = on.command({"broadcast", "show", id, "--json"});
  return shown.code == 0 ? object(shown.out) : json::object{};
}

std::int64_t ended(const json::object& of) {
  return number(of, "sent") + number(of, "failed") + number(of, "blocked") +
         number(of, "unknown");
}

bool is_done(const json::object& of) {
  const json::value* state = of.if_contains("state");
  return state && state->as_string() == "done";
}

/// How often each chat was sent the news, by what Telegram recorded.
std::map<std::int64_t, int> heard(const stage& on) {
  std::map<std::int64_t, int> out;
  for (const logged_call& one : on.calls())
    if (one.recorded && one.text == news)
      ++out[one.chat];
  return out;
}

/// Sends to `members` chats at `rate`, and kills the bot once a third have it.
void broadcast(std::int64_t members, std::int64_t rate) {
  stage on{{"--global-per-second", "0", "--chat-per-second", "0",
            "--group-per-minute", "0", "--answer-delay", "20"},
           {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_LIMITS_BULK_PER_SECOND", std::to_string(rate)},
            {"TROUPE_LOG_LEVEL", "warn"}}};
  on.start_bot();
  for (std::int64_t chat = 1; chat <= members; ++chat)
    on.write(chat, "t1");
  REQUIRE(eventually([&] { return on.idle(); }, seconds{1'200}));

  const ending counted =
      on.command({"broadcast", "start", "--text", news, "--dry-run", "--json"});
  INFO(counted.err);
  REQUIRE(counted.code == 0);
  CHECK(number(object(counted.out), "total") == members);
  REQUIRE(is_done(page(on, "1")));

  const auto begin = [&] {
    const ending begun = on.command({"broadcast", "start", "--text", news,
                                     "--request", "monday", "--json"});
    INFO(begun.err);
    REQUIRE(begun.code == 0);
    return number(object(begun.out), "id");
  };
  CHECK(begin() == 2);
  CHECK(begin() == 2);  // said twice, meant once
  CHECK(on.command({"broadcast", "start", "--text", "Other news.", "--request",
                    "monday"})
            .code == 1);
  REQUIRE(eventually([&] { return ended(page(on, "2")) >= members / 3; },
                     seconds{600}));
  on.bot().signal(SIGKILL);
  on.bot().wait();
  on.start_bot();
  CHECK(begin() == 2);
  // A text that comes meanwhile is answered as always.
  on.write(1, "t2");
  REQUIRE(eventually([&] { return is_done(page(on, "2")); }, seconds{1'200}));
  const json::object last = page(on, "2");
  REQUIRE(eventually([&] { return on.idle(); }));
  on.stop();

  INFO(json::serialize(last));
  const auto unknown = number(last, "unknown");
  CHECK(number(last, "total") == members);
  CHECK(ended(last) == members);
  CHECK(number(last, "failed") == 0);
  CHECK(number(last, "blocked") == 0);
  const auto got = heard(on);
  for (const auto& [chat, times] : got) {
    INFO("chat " << chat);
    CHECK(times == 1);
  }
  // Those without an outcome may have it, or not; nobody else may not.
  const auto recipients = static_cast<std::int64_t>(got.size());
  CHECK(recipients <= members);
  CHECK(recipients >= members - unknown);
  // No more than can be under way: two seconds of the rate, at least a hundred.
  CHECK(unknown <= std::max<std::int64_t>(100, 2 * rate));
  std::cout << members << " members: " << recipients << " have it, " << unknown
            << " unknown" << std::endl;
}

}  // namespace

TEST_CASE(
    "G2, G5: a broadcast meets each member once, over a kill -9 in its "
    "middle") {
  broadcast(600, 100);
}

TEST_CASE(
    "G2, G5: a broadcast to 100,000 at 1,000 a second meets each member once, "
    "over a kill -9 in its middle",
    "[.long]") {
  broadcast(100'000, 1'000);
}
