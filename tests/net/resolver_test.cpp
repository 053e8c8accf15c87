#include "net/resolver.hpp"

#include <future>
#include <memory>
#include <utility>

#include "tests/net/support.hpp"

using namespace troupe;
using namespace troupe::net;
using namespace troupe::net::testing;

namespace {

using answer = std::pair<std::vector<tcp::endpoint>, std::string>;

answer look_up(loop& on, const std::string& host) {
  const auto where = on.self().next();
  auto done = std::make_shared<std::promise<answer>>();
  auto come = done->get_future();
  resolve(where, host, 6379,
          [&, done](std::vector<tcp::endpoint> found, std::string why) {
            CHECK(where->here());
            done->set_value({std::move(found), std::move(why)});
          });
  REQUIRE(come.wait_for(patience) == std::future_status::ready);
  return come.get();
}

}  // namespace

TEST_CASE("a host is looked up elsewhere, and answered on the lane") {
  loop on{2};
  for (const auto* host : {"localhost", "127.0.0.1", "::1"}) {
    const auto [found, why] = look_up(on, host);
    REQUIRE_FALSE(found.empty());
    CHECK(why.empty());
    for (const auto& each : found) {
      CHECK(each.address().is_loopback());
      CHECK(each.port() == 6379);
    }
  }
}

TEST_CASE("a host that has no address is answered with the reason") {
  loop on;
  const auto [found, why] = look_up(on, "no-such-host.invalid");
  CHECK(found.empty());
  CHECK_FALSE(why.empty());
}
