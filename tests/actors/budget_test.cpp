#include "actors/budget.hpp"

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;

namespace {

mono_time at(milliseconds t) {
  return mono_time{1h} + t;
}

std::vector<budget::claim> claims(const std::vector<budget::grant>& grants) {
  std::vector<budget::claim> out;
  for (auto& g : grants)
    out.push_back(g.to);
  return out;
}

}  // namespace

TEST_CASE("permits are granted in the order of asking, within the window",
          "[limits]") {
  budget b{3, 20, 0ms};
  for (budget::claim c = 1; c <= 5; ++c)
    b.want(c, 1, false);
  CHECK(claims(b.ready(at(0ms))) == std::vector<budget::claim>{1, 2, 3});
  CHECK(b.ready(at(1ms)).empty());
  REQUIRE(b.next(at(1ms)));
  CHECK(*b.next(at(1ms)) == at(1000ms));
  CHECK(claims(b.ready(at(1000ms))) == std::vector<budget::claim>{4, 5});
  CHECK(b.waiting() == 0);
  CHECK_FALSE(b.next(at(1000ms)));
}

TEST_CASE("G9: interactive calls go before campaigns, which never starve",
          "[limits]") {
  budget b{10, 10, 0ms};
  for (budget::claim c = 1000; c < 1100; ++c)
    b.want(c, 1, true);
  for (budget::claim c = 1; c <= 100; ++c)
    b.want(c, 1, false);
  int bulk = 0, interactive = 0;
  for (int second = 0; second < 10; ++second) {
    for (auto c : claims(b.ready(at(second * 1001ms))))
      (c >= 1000 ? bulk : interactive)++;
  }
  CHECK(bulk + interactive == 100);
  CHECK(bulk >= 9);   // never starved
  CHECK(bulk <= 11);  // and under the replies
}

TEST_CASE("G9: a share of the budget, however small, lets campaigns through",
          "[limits]") {
  budget b{30, 1, 0ms};
  b.resize(7);
  b.want(1, 1, true);
  CHECK(claims(b.ready(at(0ms))) == std::vector<budget::claim>{1});
}

TEST_CASE("G9: campaigns alone keep to their share of the budget", "[limits]") {
  budget b{30, 20, 0ms};
  for (budget::claim c = 1; c <= 100; ++c)
    b.want(c, 1, true);
  CHECK(b.ready(at(0ms)).size() == 20);
  b.want(500, 1, false);
  CHECK(claims(b.ready(at(1ms))) == std::vector<budget::claim>{500});
}

TEST_CASE("G8: a 429 of one chat is that chat's, of several the bot's",
          "[limits]") {
  budget b{30, 20, 0ms};
  CHECK_FALSE(b.flooded(chat_key::chat(1), at(0ms), 3000ms));
  CHECK_FALSE(b.flooded(chat_key::chat(1), at(100ms), 3000ms));
  CHECK_FALSE(b.flooded(chat_key::chat(2), at(200ms), 3000ms));
  b.want(1, 1, false);
  CHECK(b.ready(at(300ms)).size() == 1);
  // Three chats within a second: everything waits for the longest of them.
  CHECK(b.flooded(chat_key::chat(3), at(400ms), 5000ms));
  b.want(2, 1, false);
  CHECK(b.ready(at(5000ms)).empty());
  CHECK(*b.next(at(5000ms)) == at(5400ms));
  CHECK(b.ready(at(5400ms)).size() == 1);
}

TEST_CASE("429s further than a second apart do not freeze the bot",
          "[limits]") {
  budget b{30, 20, 0ms};
  for (int i = 0; i < 10; ++i)
    CHECK_FALSE(b.flooded(chat_key::chat(i), at(i * 600ms), 1000ms));
}

TEST_CASE("after a restart the last window counts as spent", "[limits]") {
  budget b{30, 20, 1000ms};
  b.spend_all(at(0ms));
  b.want(1, 1, false);
  CHECK(b.ready(at(999ms)).empty());
  CHECK(b.ready(at(1002ms)).size() == 1);
}

TEST_CASE("a permit that was given back unused is free at once", "[limits]") {
  budget b{1, 1, 1000ms};
  b.want(1, 1, false);
  auto first = b.ready(at(0ms));
  REQUIRE(first.size() == 1);
  b.want(2, 1, false);
  CHECK(b.ready(at(1ms)).empty());
  b.answered(first[0].ticket, at(2ms), false);
  CHECK(b.ready(at(2ms)).size() == 1);
}
