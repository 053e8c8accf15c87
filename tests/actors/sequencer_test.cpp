#include "actors/sequencer.hpp"

#include <algorithm>
#include <random>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;

namespace {

store::entry entry(std::uint64_t seq) {
  store::entry e;
  e.seq = {seq};
  return e;
}

std::vector<store::entry> entries(std::vector<std::uint64_t> seqs) {
  std::vector<store::entry> out;
  for (auto s : seqs)
    out.push_back(entry(s));
  return out;
}

std::vector<std::uint64_t> seqs(const std::vector<store::entry>& list) {
  std::vector<std::uint64_t> out;
  for (auto& e : list)
    out.push_back(e.seq.value);
  return out;
}

using list = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("hints in order pass straight through") {
  sequencer s;
  s.start({0});
  CHECK(seqs(s.offer(entries({1, 2}))) == list{1, 2});
  CHECK(seqs(s.offer(entries({3}))) == list{3});
  CHECK_FALSE(s.gap());
  CHECK(s.last() == seq_no{3});
}

TEST_CASE("a late hint is waited for, a double one is dropped") {
  sequencer s;
  s.start({0});
  CHECK(s.offer(entries({2})).empty());
  CHECK(s.gap());
  CHECK(s.kept() == 1);
  CHECK(seqs(s.offer(entries({1}))) == list{1, 2});
  CHECK(s.offer(entries({1, 2})).empty());
  CHECK_FALSE(s.gap());
  CHECK(s.kept() == 0);
}

TEST_CASE("a lost hint is filled from the store") {
  sequencer s;
  s.start({0});
  CHECK(s.offer(entries({3, 4})).empty());
  CHECK(seqs(s.heal(entries({1, 2, 3}), false)) == list{1, 2, 3, 4});
  CHECK_FALSE(s.gap());
}

TEST_CASE("what the store has no more is skipped") {
  sequencer s;
  s.start({0});
  s.offer(entries({5}));
  CHECK(seqs(s.heal(entries({2, 5}), false)) == list{2, 5});
  CHECK_FALSE(s.gap());
}

TEST_CASE("hints before the start are kept, and old ones dropped at it") {
  sequencer s;
  CHECK(s.offer(entries({3, 4, 5})).empty());
  s.start({4});
  CHECK(seqs(s.offer({})) == list{5});
}

TEST_CASE("G3: any order of hints, losses and repeats comes out in sequence") {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random{seed};
    sequencer s;
    s.start({0});
    list journal(100);
    for (std::size_t i = 0; i < journal.size(); ++i)
      journal[i] = i + 1;
    auto hints = journal;
    std::shuffle(hints.begin(), hints.end(), random);
    std::erase_if(hints, [&](auto) { return random() % 5 == 0; });
    list out;
    auto take = [&](auto got) {
      for (auto n : seqs(got))
        out.push_back(n);
    };
    for (auto h : hints) {
      take(s.offer(entries({h, h})));
      if (s.gap() && random() % 10 == 0) {
        list page;
        for (auto n : journal)
          if (n > s.last().value && page.size() < 7)
            page.push_back(n);
        take(s.heal(entries(page), false));
      }
    }
    list rest;
    for (auto n : journal)
      if (n > s.last().value)
        rest.push_back(n);
    take(s.heal(entries(rest), false));
    REQUIRE(out == journal);
  }
}

TEST_CASE("G11: hints behind a gap are kept up to a bound, the rest is read") {
  sequencer s;
  s.start({0});
  for (std::uint64_t n = 2; n <= 5000; ++n)
    s.offer({entry(n)});
  list out;
  int pages = 0;
  while (s.gap()) {
    list page;
    for (auto n = s.last().value + 1; n <= 5000 && page.size() < 512; ++n)
      page.push_back(n);
    bool more = page.size() == 512;
    for (auto n : seqs(s.heal(entries(page), more)))
      out.push_back(n);
    REQUIRE(++pages < 20);
  }
  list all(5000);
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = i + 1;
  CHECK(out == all);
}

TEST_CASE("G1: a lost hint is missed even if none comes after it") {
  sequencer s;
  s.start({0});
  CHECK(seqs(s.offer(entries({1}))) == list{1});
  s.ends_at({1});
  CHECK_FALSE(s.gap());
  s.ends_at({2});
  CHECK(s.gap());
  SECTION("the hint was only late") {
    CHECK(seqs(s.offer(entries({2}))) == list{2});
    CHECK_FALSE(s.gap());
  }
  SECTION("it is lost: the store fills it in") {
    CHECK(seqs(s.heal(entries({2}), false)) == list{2});
    CHECK_FALSE(s.gap());
  }
  SECTION("the store has it no more: it is not waited for for ever") {
    CHECK(s.heal({}, false).empty());
    CHECK_FALSE(s.gap());
  }
}

TEST_CASE("G11: what there is no room for is left, and read later") {
  sequencer s;
  s.start({0});
  CHECK(s.offer(entries({2, 3})).empty());
  s.leave();
  CHECK(s.kept() == 0);
  CHECK(s.gap());
  CHECK(seqs(s.heal(entries({1}), true)) == list{1});
  CHECK(s.gap());
  CHECK(seqs(s.heal(entries({2, 3, 4}), false)) == list{2, 3, 4});
  CHECK_FALSE(s.gap());
  CHECK(seqs(s.offer(entries({4, 5}))) == list{5});
}

TEST_CASE("how much is unread is known from the journal's end") {
  sequencer s;
  s.ends_at({10});
  CHECK(s.unread() == 0);  // not known before the start
  s.start({4});
  CHECK(s.unread() == 6);
  CHECK(seqs(s.heal(entries({5, 6}), true)) == list{5, 6});
  CHECK(s.unread() == 4);
  CHECK(seqs(s.offer(entries({7}))) == list{7});
  CHECK(s.unread() == 3);
  CHECK(seqs(s.heal(entries({8, 9, 10}), false)) == list{8, 9, 10});
  CHECK(s.unread() == 0);
}

TEST_CASE("what was acknowledged before the lease is not waited for") {
  sequencer s;
  s.start({2}, {9});  // 8 and 9 are done
  s.leave();
  CHECK(s.offer(entries({10, 11})).empty());
  CHECK(seqs(s.heal(entries({3, 4}), true)) == list{3, 4});
  CHECK(s.gap());
  SECTION("with hints behind it") {
    CHECK(seqs(s.heal(entries({7}), false)) == list{7, 10, 11});
    CHECK_FALSE(s.gap());
  }
  SECTION("at the next renewal") {
    s.leave();
    CHECK(seqs(s.heal(entries({7}), false)) == list{7});
    s.ends_at({9});
    CHECK_FALSE(s.gap());
    CHECK(seqs(s.offer(entries({10}))) == list{10});
  }
}
