#include "store/faulty.hpp"
#include "tests/actors/rig.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::testing;

// The lane decides when calls leave; these see that the actors, the client and
// the store around it keep to what it decided.

TEST_CASE("G7: a call that waited for a connection asks for its place anew") {
  for (const unsigned global : {0u, 30u}) {
    INFO("global limit " << global);
    std::promise<void> open;
    auto gate = open.get_future().share();
    telegram_double telegram{[gate](const telegram_double::call&,
                                    int nth) -> std::optional<http::response> {
      if (nth == 1)
        gate.wait();
      return std::nullopt;
    }};
    auto how = fast();
    how.limits = {global, 1, 20, 0, 200ms, true};
    http::client_options one;
    one.max_connections = 1;
    rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url(),
          one};
    REQUIRE(r.post_and_wait(text_update(1, 1, "a")) == 200);
    REQUIRE(eventually([&] { return telegram.calls().size() == 1; }));
    REQUIRE(r.post_and_wait(text_update(2, 2, "b")) == 200);
    auto in_flight = [&] { return r.stats().at("depth").at("in_flight"); };
    CHECK(eventually([&] { return in_flight() == 2; }));
    // Past the last moment of the second, which is 250 ms after its permit.
    std::this_thread::sleep_for(300ms);
    open.set_value();
    CHECK(eventually([&] { return telegram.accepted() == 2; }));
    CHECK(r.total("network_failures") >= 1);
    CHECK(telegram.calls().size() == 2);
    CHECK(telegram.texts(2) == counted({"b"}));
  }
}

TEST_CASE("G7: a group's calls wait for the store, one after the other") {
  std::promise<void> open;
  auto gate = open.get_future().share();
  telegram_double telegram{[gate](const telegram_double::call&,
                                  int) -> std::optional<http::response> {
    gate.wait();
    return std::nullopt;
  }};
  auto owned = std::make_unique<store::faulty>(memory_store());
  auto& s = *owned;
  auto how = fast();
  how.limits = {0, 0, 20, 0, 1000ms, true};
  rig r{how, std::make_shared<counter_bot>(), std::move(owned), telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, -5, "a")) == 200);
  REQUIRE(r.post_and_wait(text_update(2, -5, "b")) == 200);
  CHECK(eventually([&] { return r.total("turns_done") == 2; }));
  CHECK(eventually([&] { return r.stats().at("depth").at("outbox") == 2; }));
  const auto before = s.operations();
  s.at(before + 1, {store::fault::what::fail, ~0ULL, {}});
  open.set_value();
  // Tried again and again, every 100 ms, beside a renewal a second.
  CHECK(eventually([&] { return s.operations() >= before + 10; }));
  CHECK(telegram.calls().size() == 1);
  s.heal();
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(-5) == counted({"a", "b"}));
}
