#include "tests/store/redis_support.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::testing;

TEST_CASE("Redis WAIT: writes are answered once a replica has them") {
  if (!have_redis())
    return;
  redis_server primary;
  redis_server replica{
      {.lines = {"replicaof 127.0.0.1 " + std::to_string(primary.port())}}};
  REQUIRE(
      eventually([&] { return replica.info("master_link_status") == "up"; }));
  client_options how;
  how.wait_replicas = 1;
  how.wait_timeout = 60s;
  const auto c = open_at(primary.url(), how);
  for (int i = 0; i < 200; ++i) {
    REQUIRE(said(eval(*c, mark(), {"marks"}, {i})) == "1");
    REQUIRE(replica.ask({"HGET", "marks", std::to_string(i)}) == "1");
  }
  tally ends{2'000};
  for (std::size_t i = 0; i < 2'000; ++i)
    c->eval(mark(), {"more"}, {i}, {.timeout = 100s}, ends.of(i));
  REQUIRE(eventually([&] { return ends.complete(); }));
  INFO(ends.last_error());
  CHECK(ends.count(tally::ok) == 2'000);
  CHECK(replica.ask({"HLEN", "more"}) == "2000");
}

TEST_CASE("Redis WAIT: what too few replicas have is done, and said unknown") {
  if (!have_redis())
    return;
  redis_server primary;
  client_options how;
  how.wait_replicas = 1;
  how.wait_timeout = 100ms;
  const auto c = open_at(primary.url(), how);
  const auto got = eval(*c, mark(), {"marks"}, {1});
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == errc::unknown_outcome);
  CHECK(got.error().context ==
        primary.place() +
            ": it was done, but 0 of 1 replicas confirmed it in time");
  CHECK(primary.ask({"HGET", "marks", "1"}) == "1");
  CHECK(said(run(*c, "marks", {"HGET", "marks", "1"},
                 {.timeout = 60s, .reads = true})) == "1");
  CHECK(c->now().reconnects == 0);
}
