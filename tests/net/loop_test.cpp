#include "net/loop.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <vector>

#include "tests/net/support.hpp"

using namespace troupe;
using namespace troupe::net;
using namespace troupe::net::testing;

TEST_CASE("what is posted runs in order, what is delayed runs later") {
  loop on;
  std::vector<int> seen;
  std::promise<void> done;
  on.after(30ms, [&] {
    seen.push_back(-1);
    done.set_value();
  });
  for (int i = 0; i < 100; ++i)
    on.post([&, i] { seen.push_back(i); });
  REQUIRE(done.get_future().wait_for(patience) == std::future_status::ready);
  REQUIRE(seen.size() == 101);
  for (int i = 0; i < 100; ++i)
    if (seen[static_cast<std::size_t>(i)] != i)
      FAIL("out of order");
  CHECK(seen.back() == -1);
}

TEST_CASE("delays end in the order of their ends, and never early") {
  struct delay {
    mono_time from, to;  ///< between which it is due
    bool early;
  };
  loop on;
  std::vector<delay> seen;
  std::promise<void> done;
  constexpr std::size_t all = 6;
  // On the loop, where it is kept at once.
  on.post([&] {
    for (const auto ms : {200ms, 100ms, 300ms, 100ms, 0ms, 200ms}) {
      const auto known = std::make_shared<delay>();
      known->from = mono_now() + ms;
      on.after(ms, [&, known] {
        known->early = mono_now() < known->from;
        seen.push_back(*known);
        if (seen.size() == all)
          done.set_value();
      });
      known->to = mono_now() + ms + 1ms;
    }
  });
  REQUIRE(done.get_future().wait_for(patience) == std::future_status::ready);
  for (std::size_t i = 0; i < all; ++i) {
    CHECK_FALSE(seen[i].early);
    for (std::size_t j = i + 1; j < all; ++j)
      CHECK(seen[i].from <= seen[j].to);
  }
}

TEST_CASE("a loop that ends drops what still waits, without running it") {
  auto held = std::make_shared<int>(1);
  std::atomic<bool> ran{false};
  {
    loop on;
    on.after(1h, [&ran, held] { ran = true; });
    std::promise<void> started;
    on.post([&] { started.set_value(); });
    started.get_future().get();
  }
  CHECK_FALSE(ran);
  CHECK(held.use_count() == 1);
}
