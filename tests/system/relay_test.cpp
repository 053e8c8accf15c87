#include "tests/support/relay.hpp"

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

TEST_CASE("a road that a test cuts is cut, and no longer than it says") {
  const stage on{{}};  // whoever answers will do
  relay_test::relay road{on.sim_port()};
  const auto works = [&] {
    return ask(road.port(), "GET", "/sim/state").status == 200;
  };
  const std::string question = request("GET", "/sim/state");
  CHECK(works());

  SECTION("reset: what is open ends, what comes after works") {
    wire before{road.port()};
    REQUIRE(before.send(question));
    REQUIRE(before.read().status == 200);
    road.reset();
    CHECK(before.ends());
    CHECK(works());
    CHECK(road.cuts() >= 1);
  }
  SECTION("refuse: nothing passes") {
    wire before{road.port()};
    REQUIRE(before.send(question));
    REQUIRE(before.read().status == 200);
    road.refuse();
    CHECK(before.ends());
    CHECK(!works());
    road.pass();
    CHECK(works());
  }
  SECTION("hold: what is said arrives later, of old and new connections") {
    wire before{road.port()};
    REQUIRE(before.send(question));
    REQUIRE(before.read().status == 200);
    road.hold();
    wire fresh{road.port()};
    REQUIRE(before.send(question));
    REQUIRE(fresh.send(question));
    CHECK(before.read(seconds{1}).status == 0);
    CHECK(fresh.read(seconds{1}).status == 0);
    CHECK(before.open());
    road.pass();
    CHECK(before.read().status == 200);
    CHECK(fresh.read().status == 200);
  }
  SECTION("nobody there: the connection ends") {
    const relay_test::relay nowhere{free_port()};
    wire to{nowhere.port()};
    CHECK(to.ends());
  }
}
