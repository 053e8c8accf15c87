#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/ids.hpp"
#include "tests/support/catch.hpp"
#include "tests/system/chaos.hpp"

using namespace troupe;
using namespace troupe::system_test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t shards = 8;
constexpr std::int64_t second = 1'000'000;

/// The chat's `n`-th reply, so many seconds after the beginning.
logged_call came(std::int64_t chat, int n, std::int64_t at) {
  return {"sendMessage",
          chat,
          "n=" + std::to_string(n) + " text=t" + std::to_string(n),
          at * second,
          at * second,
          true};
}

takeover of_chat(std::int64_t chat, std::int64_t at) {
  return {shard_of(chat_key::chat(chat), shards).value, at * second};
}

/// The same moment of two nodes that no fault has taken.
bool leaves_a_node(const std::vector<fault>& planned, std::size_t nodes) {
  return std::all_of(planned.begin(), planned.end(), [&](const fault& begun) {
    std::set<std::size_t> taken;
    for (const fault& f : planned)
      if (f.takes_a_node() && f.at <= begun.at && begun.at < f.at + f.length)
        taken.insert(f.node);
    return taken.size() < nodes;
  });
}

}  // namespace

TEST_CASE(
    "chaos: a seed is a plan, with every kind of trouble, some at once, and "
    "never on all nodes") {
  std::size_t overlapping = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    INFO("seed " << seed);
    const auto planned = plan(seed, 57s, 3);
    const auto again = plan(seed, 57s, 3);
    std::set<trouble> kinds;
    std::string one, two;
    for (const fault& f : planned) {
      kinds.insert(f.what);
      one += to_text(f) + '\n';
    }
    for (const fault& f : again)
      two += to_text(f) + '\n';
    CHECK(one == two);
    CHECK(kinds.size() == troubles);
    CHECK(leaves_a_node(planned, 3));
    for (std::size_t i = 1; i < planned.size(); ++i) {
      CHECK(planned[i - 1].at < planned[i].at);
      if (planned[i].at < planned[i - 1].at + planned[i - 1].length)
        ++overlapping;
      // Of two nodes the first one dials.
      if (planned[i].what == trouble::road)
        CHECK(planned[i].node > 0);
    }
  }
  CHECK(overlapping > 500);
}

TEST_CASE("chaos: who lets go of a shard leaves nothing to be done again") {
  const auto line = [](const char* event, int shard, int epoch, int ms,
                       int ended) {
    return std::string{R"({"t":"2026-11-26T03:28:53.)"} + std::to_string(ms) +
           R"(Z","level":"debug","event":")" + event + R"(","shard":)" +
           std::to_string(shard) + R"(,"epoch":)" + std::to_string(epoch) +
           R"(,"ended_ms":)" + std::to_string(ended) + "}";
  };
  const auto taken = takeovers(
      {line("shard_followed", 5, 1, 100, 0), line("shard_given", 5, 1, 200, 3),
       line("shard_followed", 5, 2, 300, 0),  // handed over
       line("shard_followed", 5, 4, 500, 0),  // from who did not say so
       R"({"t":"2026-11-26T03:28:53.600Z","level":"debug","eve)",
       line("shard_given", 5, 4, 700, 5'001),  // with things under way
       line("shard_followed", 5, 5, 800, 0),
       line("shard_followed", 6, 1, 900, 0)});  // the first owner of all
  REQUIRE(taken.size() == 2);
  CHECK(taken[0].shard == 5);
  CHECK(taken[1].shard == 5);
  CHECK(taken[1].at - taken[0].at == 300);
  // date -d 2026-11-26T03:28:53.500Z +%s%3N
  CHECK(taken[0].at == 1'795'663'733'500);
}

TEST_CASE(
    "chaos: only a takeover of its shard explains that a reply comes "
    "twice, and only once per chat") {
  const auto found = [](const std::vector<logged_call>& calls,
                        const std::vector<takeover>& taken) {
    return find_repeats(calls, taken, shards);
  };
  const std::vector<logged_call> once{came(7, 1, 10), came(7, 2, 11),
                                      came(8, 1, 11), came(7, 3, 12)};
  CHECK(found(once, {}).steps_back == 0);
  CHECK(found(once, {}).copies == 0);

  // Two that were under way come again, in order.
  const std::vector<logged_call> twice{came(7, 1, 10), came(7, 2, 11),
                                       came(7, 1, 30), came(7, 2, 31),
                                       came(7, 3, 32)};
  CHECK(found(twice, {}).unexplained.size() == 1);
  const auto good = found(twice, {of_chat(7, 28)});
  CHECK(good.unexplained.empty());
  CHECK(good.copies == 2);
  CHECK(good.steps_back == 1);
  CHECK(good.most_at_once == 2);
  // Too early, too late, another's.
  CHECK(found(twice, {of_chat(7, 5)}).unexplained.size() == 1);
  CHECK(found(twice, {of_chat(7, 40)}).unexplained.size() == 1);
  std::int64_t other = 8;
  while (of_chat(other, 0).shard == of_chat(7, 0).shard)
    ++other;
  CHECK(found(twice, {of_chat(other, 28)}).unexplained.size() == 1);

  // One takeover, one step back, however close the second one is.
  const std::vector<logged_call> thrice{came(7, 1, 10), came(7, 2, 11),
                                        came(7, 1, 30), came(7, 2, 31),
                                        came(7, 1, 31)};
  CHECK(found(thrice, {of_chat(7, 29)}).unexplained.size() == 1);

  // The owner before goes on, too: what its chat was told comes once more.
  auto stray = twice;
  stray.push_back(came(7, 2, 36));
  CHECK(found(stray, {of_chat(7, 28)}).unexplained.size() == 1);
  CHECK(found(stray, {of_chat(7, 28), of_chat(7, 35)}).unexplained.empty());
}
