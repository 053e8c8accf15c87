#include "actors/recency.hpp"

#include <algorithm>
#include <random>
#include <unordered_map>
#include <vector>

#include "tests/support/catch.hpp"

using namespace troupe;

namespace {

struct slot;
using entry = std::pair<const int, slot>;
struct slot {
  entry* newer = nullptr;
  entry* older = nullptr;
};

std::vector<int> from_newest(const actors::recency<entry>& used) {
  std::vector<int> out;
  for (auto x = used.newest(); x; x = x->second.older)
    out.push_back(x->first);
  return out;
}

std::vector<int> from_oldest(const actors::recency<entry>& used) {
  std::vector<int> out;
  for (auto x = used.oldest(); x; x = x->second.newer)
    out.push_back(x->first);
  return out;
}

}  // namespace

TEST_CASE(
    "recency is the order of last use, both ways, as entries come and go") {
  std::unordered_map<int, slot> all;
  actors::recency<entry> used;
  std::vector<int> expected;  // newest first
  std::minstd_rand random{7};
  for (int step = 0; step < 20'000; ++step) {
    const int key = int(random() % 40);
    const auto at = std::find(expected.begin(), expected.end(), key);
    if (at != expected.end())
      expected.erase(at);
    if (random() % 3 == 0) {
      if (auto it = all.find(key); it != all.end()) {
        used.drop(*it);
        used.drop(*it);  // a second time changes nothing
        if (random() % 2 == 0)
          all.erase(it);
      }
    } else {
      used.use(*all.try_emplace(key).first);
      expected.insert(expected.begin(), key);
    }
    REQUIRE(from_newest(used) == expected);
    auto backwards = from_oldest(used);
    std::reverse(backwards.begin(), backwards.end());
    REQUIRE(backwards == expected);
  }
}
