#include "sim/users.hpp"

#include <cmath>
#include <map>
#include <set>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace std::chrono_literals;

namespace {

const mono_time t0{std::chrono::hours{1}};

user_options of(std::uint64_t users, std::uint64_t groups = 0) {
  user_options how;
  how.users = users;
  how.groups = groups;
  return how;
}

std::vector<virtual_users::utterance> all(virtual_users& u, mono_time now) {
  std::vector<virtual_users::utterance> out;
  while (auto said = u.next(now))
    out.push_back(*said);
  return out;
}

}  // namespace

TEST_CASE("users: they hold still until they are started") {
  virtual_users u{of(3)};
  CHECK_FALSE(u.next(t0 + 1h));
  CHECK_FALSE(u.finished(t0 + 1h));
  CHECK_FALSE(u.wake(t0));
}

TEST_CASE("users: even arrivals keep their rate, whenever they are asked") {
  auto how = of(10);
  how.rate = 100;
  how.poisson = false;
  how.duration = 10;
  virtual_users u{how};
  u.start(t0);
  std::size_t said = 0;
  for (auto now = t0; now < t0 + 11s; now += 70ms)
    said += all(u, now).size();
  CHECK(said == 1000);
  CHECK(u.finished(t0 + 10s));
}

TEST_CASE("users: poisson arrivals average their rate") {
  auto how = of(10);
  how.rate = 200;
  how.duration = 100;
  virtual_users u{how};
  u.start(t0);
  auto said = static_cast<double>(all(u, t0 + 99s).size());
  CHECK(std::abs(said - 19'800) < 800);
}

TEST_CASE("users: texts are unique in their chat, ids are of every size") {
  auto how = of(8, 4);
  how.rate = 1000;
  virtual_users u{how};
  u.start(t0);
  std::map<std::int64_t, std::set<std::string>> seen;
  bool large = false, above_32 = false, basic = false, super = false;
  for (auto& said : all(u, t0 + 2s)) {
    REQUIRE(seen[said.chat].insert(said.text).second);
    REQUIRE(said.text == "u" + std::to_string(said.chat) + '-' +
                             std::to_string(seen[said.chat].size()));
    REQUIRE(said.user > 0);
    large = large || said.chat > (std::int64_t{1} << 50);
    above_32 = above_32 || said.chat > 0x7fff'ffff;
    basic = basic || (said.chat < 0 && said.chat > -1'000'000'000'000);
    super = super || said.chat < -1'000'000'000'000;
    REQUIRE(said.chat < (std::int64_t{1} << 52));
  }
  CHECK(large);
  CHECK(above_32);
  CHECK(basic);
  CHECK(super);
  CHECK(seen.size() == 12);
}

TEST_CASE("users: one seed is one run") {
  auto how = of(20, 5);
  virtual_users a{how}, b{how};
  how.seed = 2;
  virtual_users c{how};
  for (auto u : {&a, &b, &c})
    u->start(t0);
  auto texts = [](virtual_users& u) {
    std::string out;
    for (auto& said : all(u, t0 + 20s))
      out += said.text + ' ';
    return out;
  };
  auto first = texts(a);
  CHECK(first == texts(b));
  CHECK(first != texts(c));
}

TEST_CASE("users: a closed loop never has more unanswered than allowed") {
  auto how = of(3);
  how.rate = 0;
  how.in_flight = 5;
  how.count = 12;
  virtual_users u{how};
  u.start(t0);
  auto first = all(u, t0);
  CHECK(first.size() == 5);
  CHECK(u.unanswered() == 5);
  CHECK_FALSE(u.wake(t0));
  u.heard(first[0].chat, "n=1 text=" + first[0].text);
  CHECK(u.wake(t0) == t0);
  auto more = all(u, t0);
  CHECK(more.size() == 1);
  // A repeated reply answers nothing.
  u.heard(first[0].chat, "n=1 text=" + first[0].text);
  CHECK(all(u, t0).empty());
  for (int i = 0; i < 20; ++i) {
    first.insert(first.end(), more.begin(), more.end());
    for (auto& said : first)
      u.heard(said.chat, "n=1 text=" + said.text);
    first.clear();
    more = all(u, t0);
  }
  CHECK(u.written() == 12);
  CHECK(u.finished(t0));
}

TEST_CASE("users: any bot's message answers the oldest text") {
  auto how = of(1);
  how.rate = 0;
  how.in_flight = 2;
  virtual_users u{how};
  u.start(t0);
  all(u, t0);
  u.heard(user_id_of(0), "Your cart: milk");
  CHECK(u.unanswered() == 1);
  u.heard(user_id_of(0) + 1, "nobody asked");
  CHECK(u.unanswered() == 1);
}

TEST_CASE("users: who blocks waits for nothing") {
  auto how = of(1000);
  how.blocked = 0.2;
  how.rate = 1000;
  virtual_users u{how};
  std::uint64_t blocked = 0;
  for (std::uint64_t n = 0; n < 1000; ++n)
    blocked += u.is_blocked(n);
  CHECK(blocked > 130);
  CHECK(blocked < 270);
  u.start(t0);
  auto said = all(u, t0 + 2s);
  CHECK(u.unanswered() < said.size());
  for (auto& s : said)
    u.gave_up(s.chat);
  CHECK(u.unanswered() == 0);
}

TEST_CASE("users: who unblocks the bot waits again") {
  auto how = of(1);
  how.rate = 0;
  how.in_flight = 3;
  how.blocked = 1;
  virtual_users u{how};
  u.start(t0);
  auto chat = user_id_of(0);
  u.next(t0);
  CHECK(u.unanswered() == 0);
  u.ignore(chat, false);
  u.next(t0);
  CHECK(u.unanswered() == 1);
  u.ignore(chat, true);
  CHECK(u.unanswered() == 0);
  u.next(t0);
  CHECK(u.unanswered() == 0);
}

TEST_CASE("users: one refusal ends the wait for what was said, not for more") {
  auto how = of(1);
  how.rate = 0;
  how.in_flight = 3;
  virtual_users u{how};
  u.start(t0);
  u.next(t0);
  u.gave_up(user_id_of(0));
  CHECK(u.unanswered() == 0);
  u.next(t0);
  CHECK(u.unanswered() == 1);
}

TEST_CASE("users: a burst comes at its second, on top of the rate") {
  auto how = of(5);
  how.rate = 1;
  how.poisson = false;
  how.duration = 3;
  how.bursts = {{100, 5}, {50, 2}};
  virtual_users u{how};
  u.start(t0);
  CHECK_FALSE(u.burst_begins(t0 + 1900ms));
  CHECK(all(u, t0 + 1900ms).size() == 2);
  CHECK(u.burst_begins(t0 + 2s));
  CHECK_FALSE(u.burst_begins(t0 + 2s));
  CHECK(all(u, t0 + 2s).size() == 51);
  CHECK_FALSE(u.finished(t0 + 4s));
  CHECK(u.wake(t0 + 4s) == t0 + 5s);
  CHECK(u.burst_begins(t0 + 5s));
  CHECK(all(u, t0 + 5s).size() == 100);
  CHECK(u.finished(t0 + 5s));
}
