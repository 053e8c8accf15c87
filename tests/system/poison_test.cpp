#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

constexpr std::int64_t healthy = 40;
constexpr std::int64_t poisoned = 7'001;
constexpr std::int64_t blocked = 7'002;

using said = std::map<std::int64_t, std::vector<std::string>>;

/// What each chat heard, in order.
said replies(const stage& on) {
  said out;
  for (const logged_call& one : on.calls()) {
    if (one.recorded)
      out[one.chat].push_back(one.text);
  }
  return out;
}

std::vector<std::string> counted(int texts) {
  std::vector<std::string> out;
  for (int n = 1; n <= texts; ++n) {
    out.push_back("n=" + std::to_string(n) + " text=t" + std::to_string(n));
  }
  return out;
}

std::int64_t sent(stage& on) {
  return number(on.sim_state(), "sent");
}

json::array letters(stage& on) {
  const ending listed = on.command({"dead-letters", "list", "--json"});
  INFO(listed.err);
  REQUIRE(listed.code == 0);
  return object(listed.out).at("dead_letters").get_array();
}

std::vector<std::string> no_limits() {
  return {"--global-per-second", "0", "--chat-per-second", "0",
          "--group-per-minute",  "0"};
}

stage::environment quick_attempts(const std::string& hold) {
  return {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
          {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
          {"TROUPE_TURN_ATTEMPTS", "2"},
          {"TROUPE_TURN_BACKOFF_MS", "20"},
          {"TROUPE_LOG_LEVEL", "error"},
          {"POISON_HOLD", hold}};
}

}  // namespace

TEST_CASE(
    "G10: a handler that throws and one that blocks delay no other "
    "chat") {
  const scratch files;
  const std::string hold = files.write("hold", "");
  stage on{no_limits(), quick_attempts(hold), "poison_bot"};
  on.start_bot();
  constexpr int texts = 10;
  on.write(blocked, "block");
  on.write(blocked, "t2");
  for (int n = 1; n <= texts; ++n) {
    on.write(poisoned, "poison" + std::to_string(n));
    for (std::int64_t chat = 1; chat <= healthy; ++chat) {
      on.write(chat, "t" + std::to_string(n));
    }
  }
  // All of them, although the one still blocks and the other always throws.
  REQUIRE(eventually([&] { return sent(on) >= healthy * texts; }, seconds{60}));
  CHECK(sent(on) == healthy * texts);
  REQUIRE(eventually([&] { return letters(on).size() == texts; }));

  std::filesystem::remove(hold);
  REQUIRE(eventually([&] { return on.idle(); }));
  on.stop();
  said got = replies(on);
  for (std::int64_t chat = 1; chat <= healthy; ++chat) {
    INFO("chat " << chat);
    CHECK(got[chat] == counted(texts));
  }
  CHECK(got[blocked] ==
        std::vector<std::string>{"n=1 text=block", "n=2 text=t2"});
  CHECK(got[poisoned].empty());
}

TEST_CASE(
    "dead letters name their error, and retried ones are turned in their "
    "old order") {
  const scratch files;
  const std::string hold = files.write("hold", "");
  stage on{no_limits(), quick_attempts(hold), "poison_bot"};
  on.start_bot();
  std::vector<std::int64_t> updates;
  on.write(poisoned, "before");
  for (int n = 1; n <= 4; ++n) {
    updates.push_back(on.write(poisoned, "poison" + std::to_string(n)));
  }
  on.write(poisoned, "after");
  REQUIRE(eventually([&] { return letters(on).size() == 4; }));
  REQUIRE(eventually([&] { return on.idle(); }));

  const json::array all = letters(on);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const json::object& one = all[i].get_object();
    CHECK(number(one, "update_id") == updates[i]);
    CHECK(has(json::serialize(one), "this text is poison"));
    CHECK(has(json::serialize(one), std::to_string(poisoned)));
  }
  const auto shown = on.command(
      {"dead-letters", "show", json::serialize(all[0].at("id")), "--json"});
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "poison1"));

  const auto dropped =
      on.command({"dead-letters", "drop", json::serialize(all[1].at("id"))});
  CHECK(dropped.code == 0);
  std::filesystem::remove(hold);
  const auto retried = on.command({"dead-letters", "retry", "--all"});
  INFO(retried.err);
  CHECK(retried.code == 0);
  CHECK(has(retried.out, "3 retried"));
  REQUIRE(eventually([&] { return sent(on) >= 5; }));
  REQUIRE(eventually([&] { return on.idle(); }));
  CHECK(letters(on).empty());
  on.stop();
  CHECK(replies(on)[poisoned] ==
        std::vector<std::string>{"n=1 text=before", "n=2 text=after",
                                 "n=3 text=poison1", "n=4 text=poison3",
                                 "n=5 text=poison4"});
}

TEST_CASE("a dead letter survives a kill -9") {
  const scratch files;
  const std::string hold = files.write("hold", "");
  stage on{no_limits(), quick_attempts(hold), "poison_bot"};
  on.start_bot();
  on.write(poisoned, "poison");
  REQUIRE(eventually([&] { return letters(on).size() == 1; }));
  on.bot().signal(9);
  on.bot().wait();
  CHECK(letters(on).size() == 1);
  std::filesystem::remove(hold);
  on.start_bot();
  CHECK(on.command({"dead-letters", "retry", "--all"}).code == 0);
  REQUIRE(eventually([&] { return sent(on) == 1; }));
  REQUIRE(eventually([&] { return on.idle(); }));
  on.stop();
  CHECK(replies(on)[poisoned] == std::vector<std::string>{"n=1 text=poison"});
}
