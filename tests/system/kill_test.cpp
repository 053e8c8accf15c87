#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;
using std::chrono::milliseconds;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr std::int64_t private_chats = 60;
constexpr std::int64_t groups = 8;

/// Between two texts: about 125 a second.
constexpr milliseconds gap{8};

std::int64_t wall_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::uint64_t seed() {
  const char* given = std::getenv("TROUPE_TEST_SEED");
  const std::uint64_t out = given != nullptr ? std::strtoull(given, nullptr, 10)
                                             : std::random_device{}();
  std::cout << "seed: TROUPE_TEST_SEED=" << out << std::endl;
  return out;
}

/// Users write all the time while the bot is killed again and again.
class siege {
 public:
  siege(stage& on, std::uint64_t with) : on_{on}, random_{with} {}

  /// @returns when each kill was, as wall-clock ms
  std::vector<std::int64_t> run(std::size_t kills) {
    launch(kills);
    while (done_.size() < kills) {
      write();
      look();
      if (kill_at_ && clock_type::now() >= *kill_at_) {
        kill();
        launch(kills);
      }
    }
    return done_;
  }
  std::map<std::int64_t, std::int64_t> const& written() const {
    return written_;
  }

 private:
  milliseconds any(int from, int to) {
    return milliseconds{std::uniform_int_distribution<int>{from, to}(random_)};
  }

  void launch(std::size_t kills) {
    on_.launch_bot();
    kill_at_.reset();
    started_ = clock_type::now();
    ready_ = false;
    // A fifth of the kills hit a bot that is just coming up.
    if (done_.size() < kills && done_.size() % 5 == 3)
      kill_at_ = started_ + any(0, 800);
  }

  void look() {
    if (ready_ || kill_at_)
      return;
    if (!on_.bot().running()) {
      INFO(on_.bot().err());
      FAIL("the bot ended by itself");
    }
    if (on_.ready()) {
      ready_ = true;
      kill_at_ = clock_type::now() + any(300, 1'700);
      return;
    }
    REQUIRE(clock_type::now() < started_ + patience);
  }

  void kill() {
    on_.bot().signal(SIGKILL);
    REQUIRE(on_.bot().wait() == 128 + SIGKILL);
    done_.push_back(wall_ms());
  }

  void write() {
    const std::int64_t any_chat = std::uniform_int_distribution<std::int64_t>{
        0, private_chats + groups - 1}(random_);
    const std::int64_t chat = any_chat < private_chats
                                  ? 5'000'000'000 + any_chat
                                  : -1'001'500'000'000 - any_chat;
    const std::int64_t nth = ++written_[chat];
    on_.write(chat, "t" + std::to_string(nth));
    next_ = std::max(next_ + gap, clock_type::now() - 10 * gap);
    const auto left = next_ - clock_type::now();
    if (left > clock_type::duration::zero())
      pause(std::chrono::duration_cast<milliseconds>(left));
  }

  stage& on_;
  std::mt19937_64 random_;
  std::vector<std::int64_t> done_;
  std::map<std::int64_t, std::int64_t> written_;
  clock_type::time_point started_{};
  clock_type::time_point next_ = clock_type::now();
  std::optional<clock_type::time_point> kill_at_;
  bool ready_ = false;
};

using copies =
    std::map<std::pair<std::int64_t, std::string>, std::vector<logged_call>>;

copies replies(const stage& on) {
  copies out;
  for (logged_call& one : on.calls()) {
    if (one.recorded && one.method == "sendMessage")
      out[{one.chat, one.text}].push_back(std::move(one));
  }
  return out;
}

/// Of one chat's replies before a kill those that came again must be the last
/// ones: outcomes are made durable in order. @param all by arrival
void check_last_ones(const std::vector<logged_call>& all, std::int64_t kill) {
  std::set<std::string> later;
  for (const logged_call& one : all)
    if (one.arrived > kill)
      later.insert(one.text);
  bool again = false;
  for (const logged_call& one : all) {
    // Its copy before the kill, if there is one after it.
    const bool came_again = later.count(one.text) != 0;
    if (one.arrived > kill)
      continue;
    INFO(one.text << " after one that came again");
    CHECK((came_again || !again));
    again = again || came_again;
  }
}

/// A reply that came twice must have been under way at a kill: it left before
/// the kill, and came again after it. What is "under way" ends when the store
/// has the outcome, which the simulator can't see; but it has them in order.
std::size_t check_repeats(const stage& on,
                          const std::vector<std::int64_t>& kills) {
  std::vector<std::int64_t> at;
  for (const std::int64_t one : kills)
    at.push_back(on.sim_time(one));
  std::size_t repeated = 0;
  // Per chat and kill: those that came again.
  std::map<std::pair<std::int64_t, std::size_t>, std::size_t> in_chat;
  std::map<std::int64_t, std::vector<logged_call>> by_chat;
  // The kill is stamped when its process is gone, a moment later.
  constexpr std::int64_t slack = 1'000'000;
  for (auto& [what, all] : replies(on)) {
    auto& of_chat = by_chat[what.first];
    of_chat.insert(of_chat.end(), all.begin(), all.end());
    for (std::size_t i = 1; i < all.size(); ++i) {
      ++repeated;
      INFO("chat " << what.first << ", " << what.second);
      const auto kill = std::find_if(at.begin(), at.end(), [&](std::int64_t k) {
        return all[i - 1].arrived <= k && k <= all[i].arrived + slack;
      });
      CHECK(kill != at.end());
      ++in_chat[{what.first, static_cast<std::size_t>(kill - at.begin())}];
    }
  }
  for (auto& [chat, all] : by_chat) {
    INFO("chat " << chat);
    std::sort(all.begin(), all.end(),
              [](auto& a, auto& b) { return a.arrived < b.arrived; });
    for (const std::int64_t kill : at)
      check_last_ones(all, kill);
  }
  std::size_t most = 0;
  for (auto& [where, n] : in_chat)
    most = std::max(most, n);
  std::cout << repeated << " replies came twice over " << kills.size()
            << " kills, at most " << most << " in one chat at one kill"
            << std::endl;
  return repeated;
}

void besiege(std::size_t kills) {
  const std::uint64_t with = seed();
  // Telegram's own delays are its business: it comes back soon after a kill.
  stage on{{"--global-per-second", "0", "--chat-per-second", "0",
            "--group-per-minute", "0", "--answer-delay", "20", "--time-scale",
            "0.1", "--seed", std::to_string(with)},
           {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_LIMITS_GROUP_PER_MINUTE", "0"},
            {"TROUPE_LOG_LEVEL", "warn"}}};
  siege all{on, with};
  const auto killed = all.run(kills);
  const bool up = eventually([&] { return on.ready(); });
  INFO(on.bot().err());
  REQUIRE(up);
  REQUIRE(eventually([&] { return on.idle(); }, seconds{300}));
  on.stop();

  std::int64_t written = 0;
  for (auto& [chat, n] : all.written())
    written += n;
  std::cout << written << " texts in " << all.written().size() << " chats"
            << std::endl;
  const std::size_t repeated = check_repeats(on, killed);
  const json::object v =
      on.verdict({"--max-duplicates", std::to_string(repeated)});
  INFO(json::serialize(v));
  CHECK(number(v, "texts") == written);
  CHECK(number(v, "accepted") == written);
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "order_violations") == 0);
  CHECK(number(v, "state_errors") == 0);
  CHECK(number(v, "torn_turns") == 0);
  CHECK(v.at("ok") == json::value(true));

  // The counter of every chat is the number of its texts: its last reply.
  const copies got = replies(on);
  for (auto& [chat, n] : all.written()) {
    INFO("chat " << chat);
    const std::string last = std::to_string(n);
    CHECK(got.count({chat, "n=" + last + " text=t" + last}) == 1);
    CHECK(got.count({chat, "n=" + std::to_string(n + 1) + " text=t" + last}) ==
          0);
  }
}

}  // namespace

TEST_CASE(
    "G1-G5: kill -9 at any of 5 moments loses nothing, reorders nothing, "
    "counts once") {
  besiege(5);
}

TEST_CASE(
    "G1-G5: kill -9 at any of 20 moments loses nothing, reorders "
    "nothing, counts once",
    "[.long]") {
  besiege(20);
}
