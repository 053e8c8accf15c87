#include "app/machine.hpp"

#include <sys/resource.h>

#include "tests/app/support.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;
using namespace std::chrono_literals;

TEST_CASE("as many files may be open as the hard limit allows") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit low{std::min<rlim_t>(256, before.rlim_max), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK(raise_file_limit() == before.rlim_max);
  rlimit after{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
  CHECK(after.rlim_cur == before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("refused requests are counted each, but logged once in a while") {
  metrics::registry into;
  reject_meter meter{"webhook", into};
  const mono_time start{1h};
  CHECK(meter.note(401, start));
  CHECK_FALSE(meter.note(401, start + 1s));
  CHECK_FALSE(meter.note(0, start + 9s));
  CHECK(meter.note(413, start + 10s));
  CHECK_FALSE(meter.note(599, start + 11s));
  const std::string page = into.render();
  const std::string name = "troupe_http_rejected_total{listener=\"webhook\",";
  CHECK(has(page, name + "status=\"401\"} 2\n"));
  CHECK(has(page, name + "status=\"tls\"} 1\n"));
  CHECK(has(page, name + "status=\"413\"} 1\n"));
  CHECK(has(page, name + "status=\"other\"} 1\n"));
  CHECK(has(page, name + "status=\"full\"} 0\n"));
}
