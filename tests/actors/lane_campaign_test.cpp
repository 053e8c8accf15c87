#include "tests/actors/lane_fixture.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::actors::test;

// A campaign's calls between a chat's own.

namespace {

store::call copy(fixture& f) {
  auto c = f.call();
  c.bulk = true;
  c.campaign = 7;
  c.policy = store::call_policy::at_most_once;
  return c;
}

lane::options budgeted() {
  auto o = fixture::plain();
  o.global = true;
  return o;
}

lane::options of_group() {
  auto o = fixture::plain();
  o.to = chat_key::chat(-5);
  return o;
}

store::call to_group(fixture& f, bool campaign) {
  auto c = campaign ? copy(f) : f.call();
  c.to = chat_key::chat(-5);
  c.body = store::make_payload(R"({"chat_id":-5,"text":"x"})");
  return c;
}

void migrated(fixture& f, call_id id, moment now) {
  telegram::answer a;
  a.what = verdict::migrated;
  a.code = 400;
  a.migrate_to = -1'000'000'000'005;
  f.answer(id, a, now);
}

std::vector<bool> asked(fixture& f) {
  std::vector<bool> out;
  for (auto& a : f.take<lane::ask>())
    out.push_back(a.bulk);
  return out;
}

}  // namespace

TEST_CASE("G9: a reply goes before a copy that waits for the budget") {
  fixture f{budgeted()};
  f.push(copy(f), at(0ms));
  CHECK(asked(f) == std::vector<bool>{true});
  f.push(f.call(), at(1ms));
  CHECK(asked(f) == std::vector<bool>{false});
  f.machine.permit(1, at(2ms).mono, at(2ms), f.todo);
  CHECK(f.sent() == ids{2});
  f.answer({2}, verdict::sent, at(9ms));
  // The copy's own permit is still on its way: it is not asked for again.
  CHECK(asked(f).empty());
  f.machine.permit(2, at(10ms).mono, at(10ms), f.todo, true);
  CHECK(f.settled() ==
        ends{{2, call_outcome::sent}, {1, call_outcome::attempting}});
  f.machine.marked({1}, at(11ms), f.todo);
  CHECK(f.sent() == ids{1});
}

TEST_CASE("G7: a permit for a copy is not used for a reply") {
  fixture f{budgeted()};
  f.push(copy(f), at(0ms));
  f.push(f.call(), at(1ms));
  f.take<lane::ask>();
  f.machine.permit(1, at(2ms).mono, at(2ms), f.todo, true);
  const auto back = f.take<lane::give_back>();
  REQUIRE(back.size() == 1);
  CHECK(back[0].permit == 1);
  CHECK_FALSE(back[0].arrived);
  CHECK(f.sent().empty());
  f.machine.permit(2, at(3ms).mono, at(3ms), f.todo);
  CHECK(f.sent() == ids{2});
  f.answer({2}, verdict::sent, at(9ms));
  CHECK(asked(f) == std::vector<bool>{true});
}

TEST_CASE("G5: interactive calls keep their order, and copies theirs") {
  fixture f{fixture::limited()};
  f.push(f.call(), at(0ms));  // 1: under way
  f.push(copy(f), at(1ms));   // 2
  f.push(f.call(), at(2ms));  // 3
  f.push(copy(f), at(3ms));   // 4
  f.push(f.call(), at(4ms));  // 5
  CHECK(f.sent() == ids{1});
  std::vector<std::uint64_t> left;
  auto now = at(10ms);
  f.answer({1}, verdict::sent, now);
  for (int i = 0; i < 4; ++i) {
    auto wake = f.machine.wake();
    REQUIRE(wake);
    now.mono = *wake;
    f.machine.tick(now, f.todo);
    for (auto& s : f.take<lane::settle>())
      if (s.what.outcome == call_outcome::attempting)
        f.machine.marked(s.what.id, now, f.todo);
    for (auto id : f.sent()) {
      left.push_back(id);
      f.answer({id}, verdict::sent, now);
    }
  }
  CHECK(left == std::vector<std::uint64_t>{3, 5, 2, 4});
}

TEST_CASE("G5: a copy whose attempt began lets nothing pass") {
  fixture f{fixture::plain()};
  f.push(copy(f), at(0ms));
  REQUIRE(f.settled() == ends{{1, call_outcome::attempting}});
  f.push(f.call(), at(1ms));
  CHECK(f.sent().empty());
  f.machine.marked({1}, at(2ms), f.todo);
  CHECK(f.sent() == ids{1});
  // Tried, and to be tried again.
  f.too_many({1}, 1'000ms, at(3ms));
  f.push(f.call(), at(4ms));
  f.machine.tick(at(2s), f.todo);
  CHECK(f.sent() == ids{1});
}

TEST_CASE("G9: a copy lets others pass for a minute, not for ever") {
  fixture f{budgeted()};
  f.push(copy(f), at(0ms));
  f.push(f.call(), at(59s));
  f.push(f.call(), at(61s));
  std::vector<std::uint64_t> left;
  window::ticket next = 1;
  for (int i = 0; i < 3; ++i) {
    auto wants = f.take<lane::ask>();
    const bool bulk = left.size() == 1;
    f.machine.permit(next++, at(62s).mono, at(62s), f.todo, bulk);
    for (auto& s : f.take<lane::settle>())
      if (s.what.outcome == call_outcome::attempting)
        f.machine.marked(s.what.id, at(62s), f.todo);
    for (auto id : f.sent()) {
      left.push_back(id);
      f.answer({id}, verdict::sent, at(62s));
    }
  }
  CHECK(left == std::vector<std::uint64_t>{2, 1, 3});
}

TEST_CASE("a group that moved is told of with the first call that arrives") {
  fixture f{of_group()};
  f.push(to_group(f, false), at(0ms));
  f.push(to_group(f, false), at(0ms));
  f.sent();
  migrated(f, {1}, at(1ms));
  f.machine.tick(at(2s), f.todo);
  const auto again = f.take<lane::send>();
  REQUIRE(again.size() == 1);
  CHECK(again[0].body->find("-1000000000005") != std::string::npos);
  f.answer({1}, verdict::sent, at(3s));
  auto all = f.take<lane::settle>();
  REQUIRE(all.size() == 1);
  REQUIRE(all[0].what.audience);
  CHECK(all[0].what.audience->key == chat_key::chat(-5));
  CHECK(all[0].what.audience->status == store::audience_status::migrated);
  REQUIRE(all[0].what.joined);
  CHECK(all[0].what.joined->key == chat_key::chat(-1'000'000'000'005));
  CHECK(all[0].what.joined->status == store::audience_status::active);
  f.sent();
  f.answer({2}, verdict::sent, at(4s));
  all = f.take<lane::settle>();
  REQUIRE(all.size() == 1);
  CHECK_FALSE(all[0].what.audience);
}

TEST_CASE("a campaign's copy follows a group that is not known where it is") {
  const bool known = GENERATE(false, true);
  fixture f{of_group()};
  f.push(to_group(f, true), at(0ms));
  f.machine.marked({1}, at(0ms), f.todo);
  f.settled();
  REQUIRE(f.sent() == ids{1});
  migrated(f, {1}, at(1ms));
  f.machine.tick(at(2s), f.todo);
  CHECK(f.sent().empty());
  const auto asks = f.take<lane::resolve>();
  REQUIRE(asks.size() == 1);
  CHECK(asks[0].owner == chat_key::chat(-1'000'000'000'005));
  f.machine.resolved("", known ? 1 : 0, at(3s), f.todo);
  if (!known) {
    REQUIRE(f.sent() == ids{1});
    f.answer({1}, verdict::sent, at(4s));
  }
  CHECK(f.sent().empty());
  const auto all = f.take<lane::settle>();
  REQUIRE(all.size() == 1);
  CHECK(all[0].what.outcome ==
        (known ? call_outcome::failed : call_outcome::sent));
  REQUIRE(all[0].what.audience);
  CHECK(all[0].what.audience->status == store::audience_status::migrated);
  CHECK(all[0].what.joined.has_value() == !known);
}
