#include <algorithm>
#include <random>

#include "tests/actors/lane_fixture.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::actors::test;

namespace {

lane::options of_a_group(unsigned limit) {
  auto o = fixture::plain();
  o.to = chat_key::chat(-42);
  o.limit = limit;
  o.period = 60s;
  o.settle_each = true;
  return o;
}

/// What is asked to be stored next, if anything.
std::optional<store::settlement> stored(fixture& f) {
  auto all = f.take<lane::settle>();
  if (all.empty())
    return std::nullopt;
  REQUIRE(all.size() == 1);
  return std::move(all.front().what);
}

/// A group whose owners die one after another. What they had stored is kept,
/// and what Telegram got.
struct mortal_owners {
  explicit mortal_owners(unsigned seed) : random{seed} { take_over(); }

  bool chance(int percent) {
    return std::uniform_int_distribution{1, 100}(random) <= percent;
  }

  void take_over() {
    life = std::make_unique<fixture>(of_a_group(limit));
    for (const auto& [when, messages] : spent)
      life->machine.spend(when, messages);
    under_way.reset();
    unanswered.clear();
    if (!outbox.empty())
      life->machine.inherit(at(now).mono, outbox.front());
    for (auto& c : outbox)
      life->push(c, at(now));
    take_actions();
  }

  /// What is sent arrives, or does not; what is to be stored is on its way.
  void take_actions() {
    for (auto& s : life->take<lane::send>()) {
      under_way = s.id;
      arrived = chance(85);
      if (arrived)
        arrivals.push_back(at(now).mono);
    }
    for (auto& s : life->take<lane::settle>())
      unanswered.push_back(std::move(s));
  }

  void write(const lane::settle& what) {
    const auto found =
        std::ranges::find(outbox, what.what.id, &store::call::id);
    if (found == outbox.end())
      return;
    if (what.what.spent > 0)
      spent.push_back({mono_time{1h} + (what.what.spent_at - at(0ms).wall),
                       what.what.spent});
    if (what.what.outcome != call_outcome::attempting)
      outbox.erase(found);
  }

  void answer() {
    const auto id = *under_way;
    under_way.reset();
    if (!arrived)
      life->fail(id, chance(50), at(now));
    else if (chance(60))
      life->answer(id, verdict::sent, at(now));
    else if (chance(50))
      life->fail(id, true, at(now));
    else
      life->too_many(id, 1s, at(now));
  }

  void step() {
    now += milliseconds{std::uniform_int_distribution{1, 3'000}(random)};
    while (outbox.size() < 3) {
      auto c = first.call();
      outbox.push_back(c);
      life->push(c, at(now));
    }
    if (chance(8)) {
      // A last write may still have got through.
      if (!unanswered.empty() && chance(50))
        write(unanswered.front());
      take_over();
      return;
    }
    if (!unanswered.empty()) {
      const auto what = std::move(unanswered.front());
      unanswered.erase(unanswered.begin());
      write(what);
      if (what.tell)
        life->machine.marked(what.what.id, at(now), life->todo);
    } else if (under_way) {
      answer();
    } else {
      life->machine.tick(at(now), life->todo);
    }
    take_actions();
  }

  static constexpr unsigned limit = 5;
  std::mt19937 random;
  milliseconds now{0};
  fixture first;  ///< numbers the calls
  std::unique_ptr<fixture> life;
  std::vector<store::call> outbox;
  std::vector<std::pair<mono_time, unsigned>> spent;
  std::optional<call_id> under_way;
  bool arrived = false;
  std::vector<lane::settle> unanswered;  ///< by the store
  std::vector<mono_time> arrivals;
};

}  // namespace

TEST_CASE("G7: a group's next call waits until the store knows of the last") {
  fixture f{of_a_group(20)};
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  CHECK(f.sent() == ids{1});
  f.answer({1}, verdict::sent, at(5ms));
  auto told = f.take<lane::settle>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].tell);
  CHECK(f.sent().empty());
  CHECK_FALSE(f.machine.wake());
  f.machine.tick(at(10s), f.todo);
  CHECK(f.sent().empty());
  f.machine.marked({1}, at(11s), f.todo);
  CHECK(f.sent() == ids{2});
}

TEST_CASE("G7: what an earlier owner may have sent is stored before a repeat") {
  fixture f{of_a_group(20)};
  const auto c = f.call();
  f.machine.inherit(at(0ms).mono, c);
  f.push(c, at(100ms));
  CHECK(f.sent().empty());
  const auto mark = stored(f);
  REQUIRE(mark);
  CHECK(mark->outcome == call_outcome::attempting);
  CHECK(mark->spent == 1);
  CHECK(mark->spent_at == at(100ms).wall);
  f.machine.marked({1}, at(110ms), f.todo);
  CHECK(f.sent() == ids{1});
  CHECK(f.machine.budget().used(at(110ms).mono) == 2);
  f.answer({1}, verdict::sent, at(120ms));
  const auto end = stored(f);
  REQUIRE(end);
  CHECK(end->outcome == call_outcome::sent);
  CHECK(end->spent == 1);
}

TEST_CASE("G7: an attempt without an answer is stored before the next") {
  fixture f{of_a_group(20)};
  f.push(f.call(), at(0ms));
  CHECK(f.sent() == ids{1});
  f.fail({1}, false, at(1ms));  // never arrived: nothing to store
  f.machine.tick(at(1s), f.todo);
  CHECK(f.sent() == ids{1});
  f.fail({1}, true, at(2s));
  f.machine.tick(at(10s), f.todo);
  CHECK(f.sent().empty());
  const auto mark = stored(f);
  REQUIRE(mark);
  CHECK(mark->outcome == call_outcome::attempting);
  CHECK(mark->spent == 1);
  // What the store does not take does not leave.
  f.machine.failed(at(11s), f.todo);
  CHECK(f.sent().empty());
  f.machine.tick(at(20s), f.todo);
  REQUIRE(stored(f));
  f.machine.marked({1}, at(21s), f.todo);
  CHECK(f.sent() == ids{1});
}

TEST_CASE("G7: a limit configured anew forgets nothing that is to be stored") {
  fixture f{of_a_group(20)};
  f.push(f.call(), at(0ms));
  CHECK(f.sent() == ids{1});
  f.fail({1}, true, at(2s));
  f.machine.configure(30, at(3s).mono);
  f.machine.tick(at(10s), f.todo);
  const auto mark = stored(f);
  REQUIRE(mark);
  CHECK(mark->spent == 1);
  CHECK(f.sent().empty());
}

TEST_CASE("G7: a mark does not make a stopped lane begin a repeat") {
  fixture f{of_a_group(20)};
  const auto c = f.call();
  f.machine.inherit(at(0ms).mono, c);
  f.push(c, at(0ms));
  REQUIRE(stored(f));
  f.machine.stop();
  f.machine.marked({1}, at(1ms), f.todo);
  CHECK(f.sent().empty());
}

TEST_CASE("G7: owners that die one after another overfill no group's window") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    mortal_owners group{seed};
    for (int i = 0; i < 2'000; ++i)
      group.step();
    INFO("seed " << seed);
    const auto& got = group.arrivals;
    REQUIRE(got.size() > 100);
    for (std::size_t i = group.limit; i < got.size(); ++i)
      REQUIRE(got[i] - got[i - group.limit] >= 60s);
  }
}
