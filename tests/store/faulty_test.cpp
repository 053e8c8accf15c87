#include "store/group_store.hpp"
#include "store/memory.hpp"
#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

const chat_key key = chat_key::chat(42);

std::unique_ptr<faulty> faulty_memory(const troupe::clock& time) {
  options how{"memory:", shard_count, &time, true};
  return std::make_unique<faulty>(open(how).value());
}

// The memory engine with a door in front of its groups, and groups and
// operations that fail when told to.
class moody_engine final : public memory_engine {
 public:
  moody_engine(const troupe::clock& time, std::shared_future<void> door)
      : memory_engine{shard_count, time}, door_{std::move(door)} {}
  result<> begin() override {
    ++begun;
    door_.wait();
    if (bad_disk)
      return error{errc::unavailable, "disk full"};
    return {};
  }
  result<std::vector<receipt>> accept(
      const std::vector<const arrival*>& sorted) override {
    for (const auto* a : sorted)
      if (*a->body == "poison")
        return error{errc::corrupt, "poison"};
    if (sorted.size() > 1)
      merged = sorted.size();
    return memory_engine::accept(sorted);
  }

  result<std::vector<chat_record>> load(
      const std::vector<chat_key>& keys) override {
    if (keys.front() == damaged)
      return error{errc::corrupt, "damaged"};
    return memory_engine::load(keys);
  }

  static inline const chat_key damaged = chat_key::chat(666);
  static inline std::atomic<int> begun{0};
  static inline std::atomic<bool> bad_disk{false};
  static inline std::atomic<std::size_t> merged{0};

 private:
  std::shared_future<void> door_;
};

// Puts a group of its own in front of the door: what comes now waits together.
void make_wait(sync_store& s) {
  moody_engine::begun = 0;
  s->claim({{1}}, "n", milliseconds{1}, [](result<std::vector<lease>>) {});
  REQUIRE(eventually([] { return moody_engine::begun == 1; }));
}

}  // namespace

TEST_CASE("a planned failure does nothing and befalls one operation") {
  test_clock time;
  auto f = faulty_memory(time);
  auto* plan = f.get();
  sync_store s{std::move(f)};
  plan->at(2, {fault::what::fail});
  CHECK(s.accept({arriving(1, key)}).has_value());
  auto r = s.accept({arriving(2, key)});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == errc::unavailable);
  CHECK(s.stats().journal == 1);
  CHECK(s.accept({arriving(2, key)}).value().at(0).fresh);
  CHECK(plan->operations() == 4);
  CHECK(plan->accepts() == 3);
}

TEST_CASE("a planned loss of the answer does the work") {
  test_clock time;
  auto f = faulty_memory(time);
  auto* plan = f.get();
  sync_store s{std::move(f)};
  plan->at_accept(1, {fault::what::commit_then_error});
  CHECK(s.load_one(key).version == 0);  // no accept: does not count
  auto r = s.accept({arriving(1, key)});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == errc::unknown_outcome);
  CHECK_FALSE(s.accept({arriving(1, key)}).value().at(0).fresh);
}

TEST_CASE("a planned outage lasts as long as planned, or until healed") {
  test_clock time;
  auto f = faulty_memory(time);
  auto* plan = f.get();
  sync_store s{std::move(f)};
  plan->at(1, {fault::what::fail, 3, {}});
  plan->at(6, {fault::what::fail, ~0ULL, {}});
  for (int i = 1; i <= 3; ++i)
    CHECK_FALSE(s.accept({arriving(i, key)}).has_value());
  CHECK(s.accept({arriving(4, key)}).has_value());
  CHECK(s.accept({arriving(5, key)}).has_value());
  for (int i = 6; i <= 20; ++i)
    CHECK_FALSE(s.accept({arriving(i, key)}).has_value());
  plan->heal();
  CHECK(s.stats().journal == 2);
}

TEST_CASE("a planned delay holds the answer back") {
  test_clock time;
  auto f = faulty_memory(time);
  f->at(1, {fault::what::delay, 1, milliseconds{50}});
  sync_store s{std::move(f)};
  const auto start = std::chrono::steady_clock::now();
  CHECK(s.accept({arriving(1, key)}).value().at(0).fresh);
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds{50});
}

TEST_CASE("too much waiting is refused at once, whatever the disk does (G11)") {
  test_clock time;
  std::promise<void> door;
  group_limits limits;
  limits.waiting_jobs = 10;
  sync_store s{make_group_store(
      std::make_unique<moody_engine>(time, door.get_future().share()), true,
      limits)};
  std::atomic<int> fresh{0};
  for (int i = 0; i < 10; ++i)
    s->accept({arriving(i, key)}, [&](result<std::vector<receipt>> r) {
      fresh += r.has_value() ? 1 : 0;
    });
  // The disk is stuck, and still:
  auto refused = s.accept({arriving(99, key)});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::unavailable);
  CHECK(fresh == 0);
  // An owner's write waits instead.
  std::promise<bool> owner;
  s->claim({{1}}, "n", milliseconds{1}, [&](result<std::vector<lease>> r) {
    owner.set_value(r.has_value());
  });
  door.set_value();
  CHECK(owner.get_future().get());
  CHECK(fresh == 10);
  // A place is free once its answer has returned, which is after it came.
  CHECK(eventually([&] {
    const auto again = s.accept({arriving(99, key)});
    return again.has_value() && again->at(0).fresh;
  }));
}

TEST_CASE("too many waiting bytes are refused (G11)") {
  test_clock time;
  std::promise<void> door;
  group_limits limits;
  limits.waiting_bytes = 10'000;
  sync_store s{make_group_store(
      std::make_unique<moody_engine>(time, door.get_future().share()), true,
      limits)};
  std::promise<bool> first;
  s->accept(
      {arriving(1, key, std::string(20'000, 'x'))},
      [&](result<std::vector<receipt>> r) { first.set_value(r.has_value()); });
  CHECK(s.accept({arriving(2, key)}).error().code == errc::unavailable);
  door.set_value();
  CHECK(first.get_future().get());  // alone, it may be as large as it is
}

TEST_CASE("accepts that wait together are appended in update id order (G3)") {
  test_clock time;
  std::promise<void> door;
  moody_engine::merged = 0;
  sync_store s{make_group_store(
      std::make_unique<moody_engine>(time, door.get_future().share()), true)};
  make_wait(s);
  std::vector<std::uint64_t> seqs(4);
  for (int i = 3; i >= 1; --i)
    s->accept({arriving(i, key)}, [&, i](result<std::vector<receipt>> r) {
      seqs[static_cast<std::size_t>(i)] = r.value().at(0).seq.value;
    });
  door.set_value();
  s->close();
  CHECK(moody_engine::merged == 3);
  CHECK(seqs == std::vector<std::uint64_t>{0, 1, 2, 3});
}

TEST_CASE("one bad operation does not fail the others of its group") {
  test_clock time;
  std::promise<void> door;
  sync_store s{make_group_store(
      std::make_unique<moody_engine>(time, door.get_future().share()), true)};
  make_wait(s);
  std::vector<errc> codes(3, errc::internal);
  for (int i = 0; i < 3; ++i)
    s->accept({arriving(i, key, i == 1 ? "poison" : "{}")},
              [&, i](result<std::vector<receipt>> r) {
                codes[static_cast<std::size_t>(i)] =
                    r ? errc{} : r.error().code;
              });
  door.set_value();
  s->close();
  CHECK(codes == std::vector<errc>{errc{}, errc::corrupt, errc{}});
}

TEST_CASE("G10: beside operations that fail, the others stay one group") {
  test_clock time;
  std::promise<void> door;
  sync_store s{make_group_store(
      std::make_unique<moody_engine>(time, door.get_future().share()), true)};
  make_wait(s);
  std::atomic<int> failed{0}, claimed{0};
  for (std::uint16_t i = 0; i < 100; ++i) {
    if (i % 50 == 25)
      s->load({moody_engine::damaged}, [&](auto r) {
        failed += !r && r.error().code == errc::corrupt ? 1 : 0;
      });
    else
      s->claim({{2}}, "n", milliseconds{1},
               [&](auto r) { claimed += r.has_value() ? 1 : 0; });
  }
  door.set_value();
  s->close();
  CHECK((failed == 2 && claimed == 98));
  // The one in front of the door, and the group without none, one and both.
  CHECK(moody_engine::begun == 1 + 3);
}

TEST_CASE("a disk that refuses a group is told to each, and may recover") {
  test_clock time;
  std::promise<void> door;
  door.set_value();
  sync_store s{make_group_store(
      std::make_unique<moody_engine>(time, door.get_future().share()), true)};
  moody_engine::bad_disk = true;
  CHECK(s.accept({arriving(1, key)}).error().code == errc::unavailable);
  moody_engine::bad_disk = false;
  CHECK(s.accept({arriving(1, key)}).value().at(0).fresh);
}

TEST_CASE("renewals and heartbeats can fail while everything else works") {
  test_clock time;
  auto f = faulty_memory(time);
  auto* plan = f.get();
  sync_store s{std::move(f)};
  const auto held = s.claim_one({1});
  plan->fail_renewals(true);
  CHECK(s.renew({held}).error().code == errc::unavailable);
  CHECK(s.heartbeat({"a", "", ""}).error().code == errc::unavailable);
  CHECK(s.accept({arriving(1, key)}).has_value());
  plan->fail_renewals(false);
  CHECK(s.renew({held}).value().size() == 1);
}
