#include "tests/http/support.hpp"
#include "tests/net/raw.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::testing;

namespace {

const std::string get_line = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Lets nobody in who has no key.
std::optional<response> ask_for_key(const request& head) {
  if (head.headers.find("Key") == "yes")
    return std::nullopt;
  auto no =
      text("no key for " + head.method + " " + std::string{head.path()}, 401);
  no.headers.add("Why", "key");
  return no;
}

}  // namespace

TEST_CASE("on_header refuses before the body, and before 100-continue") {
  reject_log rejects;
  server_options how;
  how.on_reject = rejects.hook();
  how.on_header = ask_for_key;
  how.body_timeout = 1h;
  std::atomic<int> handled{0};
  net::loop on;
  auto server = serve(
      on,
      [&](request&& what, const responder& answer) {
        ++handled;
        echo(std::move(what), answer);
      },
      how);
  const std::string post = "POST /x?y HTTP/1.1\r\nHost: a\r\n";
  // No byte of the bodies is ever sent, or what is sent inflates to nonsense.
  for (const std::string rest :
       {"Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n",
        "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
        "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 3\r\n\r\nabc"}) {
    INFO(rest);
    auto peer = raw_socket::connect_to(server->port());
    REQUIRE(peer.send(post + rest));
    const auto got = peer.rest();
    CHECK(got.starts_with("HTTP/1.1 401 "));
    CHECK(got.find("Why: key\r\n") != got.npos);
    CHECK(got.find("Connection: close\r\n") != got.npos);
    CHECK(got.ends_with("no key for POST /x"));
  }
  auto head = raw_socket::connect_to(server->port());
  head.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(head.rest().ends_with("\r\n\r\n"));
  CHECK(handled == 0);
  CHECK(rejects.seen() == std::vector<unsigned>(6, 401));

  auto friendly = raw_socket::connect_to(server->port());
  for (int i = 0; i < 2; ++i) {
    friendly.send(post + "Key: yes\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(friendly.answer().second == "POST /x?y abc");
  }
  friendly.send(post + "Content-Length: 3\r\n\r\nabc");
  CHECK(friendly.rest().starts_with("HTTP/1.1 401 "));
}

TEST_CASE("G11: what is not answered in time is 503, and a late answer lost") {
  reject_log rejects;
  server_options how;
  how.on_reject = rejects.hook();
  how.answer_timeout = 50ms;
  std::mutex mutex;
  std::vector<responder> held;
  net::loop on;
  auto server = serve(
      on,
      [&](request&& what, const responder& answer) {
        if (what.target == "/now")
          return echo(std::move(what), answer);
        const std::lock_guard lock{mutex};
        held.push_back(answer);
      },
      how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
  const auto head = peer.until("\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 503 "));
  CHECK(head.find("Retry-After: ") != head.npos);
  CHECK(rejects.seen() == std::vector<unsigned>{504});
  {
    const std::lock_guard lock{mutex};
    REQUIRE(held.size() == 1);
    held.front()(text("too late"));
  }
  // The connection goes on.
  peer.send("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(peer.answer().second == "GET /now ");
  server->close();
}

TEST_CASE("a full server lets the connection go that idles longest") {
  reject_log rejects;
  server_options how;
  how.on_reject = rejects.hook();
  how.max_connections = 2;
  net::loop on;
  auto server = serve(on, echo, how);
  auto one = raw_socket::connect_to(server->port());
  one.send(get_line);
  CHECK(one.answer().second == "GET / ");
  auto two = raw_socket::connect_to(server->port());
  two.send(get_line);
  CHECK(two.answer().second == "GET / ");
  one.send(get_line);  // now it is `two` that idles longest
  CHECK(one.answer().second == "GET / ");
  auto three = raw_socket::connect_to(server->port());
  three.send(get_line);
  CHECK(three.answer().second == "GET / ");
  CHECK(two.rest().empty());
  one.send(get_line);
  CHECK(one.answer().second == "GET / ");
  CHECK(server->connections() == 2);
  CHECK(rejects.seen().empty());
}

TEST_CASE("a listener for strangers closes after 401, 403 and 404") {
  for (const bool closes : {false, true}) {
    server_options how;
    how.close_refused = closes;
    net::loop on;
    auto server = serve(
        on,
        [](request&& what, const responder& answer) {
          answer(text(
              "x", static_cast<unsigned>(std::stoul(what.target.substr(1)))));
        },
        how);
    for (const std::string status : {"200", "401", "403", "404", "405"}) {
      auto peer = raw_socket::connect_to(server->port());
      peer.send("GET /" + status + " HTTP/1.1\r\nHost: a\r\n\r\n");
      const auto head = peer.until("\r\n\r\n");
      INFO(head);
      const bool refused = status[2] != '0' && status != "405";
      CHECK((head.find("Connection: close") != head.npos) ==
            (closes && refused));
    }
  }
}
