#include "tests/http/support.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::testing;

TEST_CASE("a request comes back with its method, target and body") {
  net::loop on;
  auto server = serve(on, echo);
  auto client = client_for(on, server->port());
  const auto got = call(*client, post("/a?b=c", "hello"));
  REQUIRE(got.has_value());
  CHECK(got->status == 200);
  CHECK(got->type == "text/plain");
  CHECK(got->body == "POST /a?b=c hello");
}

TEST_CASE("one connection carries one call after the other") {
  net::loop on;
  auto server = serve(on, echo);
  auto client = client_for(on, server->port());
  for (int i = 0; i < 100; ++i) {
    const auto n = std::to_string(i);
    const auto got = call(*client, post("/", n));
    REQUIRE(got.has_value());
    CHECK(got->body == "POST / " + n);
  }
  CHECK(server->connections() == 1);
  CHECK(client->now().connections == 1);
  CHECK(client->now().in_flight == 0);
  CHECK(client->now().waiting == 0);
}

TEST_CASE("ten megabytes go there and back") {
  net::loop there, here;
  server_options how;
  how.max_body = 16 << 20;
  auto server = serve(there, echo, how);
  auto client = client_for(here, server->port());
  std::string body(10 << 20, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1009)
    body[i] = '\0';
  const auto got = call(*client, post("/", body));
  REQUIRE(got.has_value());
  CHECK((got->body == "POST / " + body));
}
