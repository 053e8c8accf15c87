#include "actors/turn_pool.hpp"

#include <atomic>
#include <future>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;

namespace {

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition())
      return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("G10: blocked handlers get stand-ins, others go on") {
  turn_pool::options o;
  o.threads = 2;
  std::atomic<int> done{0};
  turn_pool pool{o};
  std::promise<void> open;
  auto gate = open.get_future().share();
  for (int i = 0; i < 8; ++i)
    pool.submit("blocked", [gate] { gate.wait(); });
  for (int i = 0; i < 100; ++i)
    pool.submit("quick", [&done] { ++done; });
  CHECK(eventually([&] { return done == 100; }));
  CHECK(eventually([&] { return pool.now().blocked == 8; }));
  open.set_value();
  // The stand-ins leave again when the blocked ones are back.
  CHECK(eventually([&] {
    pool.submit("quick", [&done] { ++done; });
    return pool.now().threads <= 3;
  }));
}

TEST_CASE("stand-ins end at the bound") {
  turn_pool::options o;
  o.threads = 1;
  o.max_threads = 4;
  turn_pool pool{o};
  std::promise<void> open;
  auto gate = open.get_future().share();
  for (int i = 0; i < 10; ++i)
    pool.submit("blocked", [gate] { gate.wait(); });
  CHECK(eventually([&] { return pool.now().waiting == 6; }));
  std::this_thread::sleep_for(100ms);
  CHECK(pool.now().threads == 4);
  CHECK(pool.now().waiting == 6);
  open.set_value();
}

TEST_CASE("a handler over its deadline is reported once, by name") {
  std::atomic<int> reports{0};
  std::mutex lock;
  std::string name;
  turn_pool::options o;
  o.deadline = 30ms;
  o.late = [&](const std::string& tag, milliseconds) {
    std::lock_guard guard{lock};
    name = tag;
    ++reports;
  };
  turn_pool pool{o};
  std::promise<void> open;
  auto gate = open.get_future().share();
  pool.submit("chat 42", [gate] { gate.wait(); });
  CHECK(eventually([&] { return reports == 1; }));
  std::this_thread::sleep_for(100ms);
  CHECK(reports == 1);
  {
    std::lock_guard guard{lock};
    CHECK(name == "chat 42");
  }
  open.set_value();
}

TEST_CASE("stopping drops what waits and tells of a handler that stays") {
  turn_pool::options o;
  o.threads = 1;
  o.max_threads = 1;
  std::promise<void> open;
  auto gate = open.get_future().share();
  std::atomic<bool> ran{false};
  turn_pool pool{o};
  pool.submit("stuck", [gate] { gate.wait(); });
  CHECK(eventually([&] { return pool.now().busy == 1; }));
  pool.submit("never", [&ran] { ran = true; });
  CHECK_FALSE(pool.stop(50ms));
  open.set_value();
  CHECK(pool.stop(30s));
  CHECK_FALSE(ran);
}
