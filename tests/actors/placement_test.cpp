#include "actors/placement.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/catch.hpp"

using namespace troupe;
using troupe::actors::place;

namespace {

constexpr std::uint16_t shards = 1024;

std::vector<std::string> nodes(int n) {
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i)
    out.push_back("node-" + std::to_string(i));
  return out;
}

std::vector<std::string> owners(const std::vector<std::string>& among) {
  std::vector<std::string> out;
  for (std::uint16_t i = 0; i < shards; ++i)
    out.push_back(among[place({i}, among)]);
  return out;
}

}  // namespace

TEST_CASE("a node that joins takes shards, and no others move") {
  for (int n = 1; n < 20; ++n) {
    const auto before = owners(nodes(n));
    const auto after = owners(nodes(n + 1));
    const auto newcomer = nodes(n + 1).back();
    for (std::size_t i = 0; i < shards; ++i)
      CHECK((after[i] == before[i] || after[i] == newcomer));
  }
}

TEST_CASE("a node that leaves moves its own shards only") {
  auto rest = nodes(7);
  const auto before = owners(rest);
  const auto gone = rest[3];
  rest.erase(rest.begin() + 3);
  const auto after = owners(rest);
  for (std::size_t i = 0; i < shards; ++i)
    CHECK((before[i] == gone || after[i] == before[i]));
}

TEST_CASE("the order in which nodes are named does not matter") {
  auto some = nodes(9);
  const auto one = owners(some);
  std::rotate(some.begin(), some.begin() + 4, some.end());
  CHECK(owners(some) == one);
}

TEST_CASE("each node gets its share of the shards") {
  for (int n = 2; n <= 16; ++n) {
    std::map<std::string, int> held;
    for (auto& owner : owners(nodes(n)))
      ++held[owner];
    REQUIRE(held.size() == std::size_t(n));
    // Five standard deviations of a fair draw.
    const double fair = double(shards) / n;
    const double off = 5 * std::sqrt(fair * (1 - 1.0 / n));
    for (auto& [node, many] : held)
      CHECK(std::abs(many - fair) < off);
  }
}

TEST_CASE("where a shard goes is the same in every version") {
  const std::vector<std::string> three{"a", "b", "c"};
  std::string first;
  for (std::uint16_t i = 0; i < 32; ++i)
    first += three[place({i}, three)];
  CHECK(first == "acbccacbaccbacabbabbbaaaaaccbcaa");
}
