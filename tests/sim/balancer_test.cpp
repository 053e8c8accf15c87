#include "sim/balancer.hpp"

#include <mutex>

#include "tests/sim/toy_bot.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace troupe::sim::test;

TEST_CASE("balancer: targets in turn, without those that failed just now") {
  balancer b{3};
  mono_time now{1h};
  CHECK(b.next(now) == 0);
  CHECK(b.next(now) == 1);
  CHECK(b.next(now) == 2);
  CHECK(b.next(now) == 0);
  b.failed(1, now);
  CHECK(b.next(now) == 2);
  CHECK(b.next(now) == 0);
  CHECK(b.next(now) == 2);
  CHECK(b.next(now + balancer::rest) == 0);
  CHECK(b.next(now + balancer::rest) == 1);
  b.failed(2, now + balancer::rest);
  b.succeeded(2);
  CHECK(b.next(now + balancer::rest) == 2);
}

TEST_CASE("balancer: if all failed, one is tried all the same") {
  balancer b{2};
  mono_time now{1h};
  b.failed(0, now);
  b.failed(1, now);
  const auto first = b.next(now);
  CHECK(b.next(now) == 1 - first);
}

TEST_CASE("simulator: of several webhooks, those that are down are passed by") {
  std::mutex mutex;
  std::map<std::string, int> seen;
  auto counts = [&](const std::string& name, unsigned status) {
    return [&, name, status](const http::request&) {
      std::lock_guard hold{mutex};
      ++seen[name];
      http::response answer;
      answer.status = status;
      return answer;
    };
  };
  toy_bot works;
  toy_bot works_too;
  toy_bot drains;
  toy_bot gone;
  works.on_delivery = counts("works", 200);
  works_too.on_delivery = counts("works_too", 200);
  drains.on_delivery = counts("drains", 503);
  sim_options how;
  how.webhook_url = gone.url();
  how.more_webhooks = {works.url(), drains.url(), works_too.url()};
  gone.close();
  auto sim = start(how);
  caller c{sim->port()};
  for (int i = 0; i < 20; ++i)
    c.call("/sim/text", R"({"user":5,"text":"t)" + std::to_string(i) + "\"}");
  REQUIRE(eventually(
      [&] { return c.get("/sim/state").at("delivered").as_int64() == 20; }));
  // No attempt failed in Telegram's eyes.
  CHECK(sim->state().failed_deliveries == 0);
  std::lock_guard hold{mutex};
  CHECK(seen["works"] + seen["works_too"] == 20);
  CHECK(seen["works"] > 0);
  CHECK(seen["works_too"] > 0);
  CHECK(seen["drains"] > 0);
}
