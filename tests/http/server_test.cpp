#include "tests/http/support.hpp"
#include "tests/net/raw.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::testing;

namespace {

std::string post_head(std::size_t length) {
  return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
         std::to_string(length) + "\r\n\r\n";
}

}  // namespace

TEST_CASE("what is refused is answered, counted, and the connection closed") {
  reject_log rejects;
  net::loop on;
  server_options how;
  how.on_reject = rejects.hook();
  std::atomic<int> handled{0};
  auto server = serve(
      on,
      [&](request&& what, const responder& answer) {
        ++handled;
        echo(std::move(what), answer);
      },
      how);
  const std::vector<std::pair<std::string, unsigned>> cases{
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {std::string{"GET /\0 HTTP/1.1\r\n\r\n", 19}, 400},
      {"\x16\x03\x01\x02", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
       "Content-Length: 2\r\n\r\nab",
       400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\n"
       "Content-Length: 1\r\n\r\nx",
       415},
      {"GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x'), 431},
      {post_head(10 << 20), 413},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
       "Content-Length: 10485760\r\n\r\n",
       413},
  };
  std::vector<unsigned> expected;
  for (const auto& [bytes, status] : cases) {
    auto peer = raw_socket::connect_to(server->port());
    REQUIRE(peer.send(bytes));
    const auto got = peer.rest();
    INFO(bytes.substr(0, 60));
    CHECK(got.starts_with("HTTP/1.1 " + std::to_string(status) + " "));
    CHECK(got.find("Connection: close\r\n") != got.npos);
    CHECK(peer.ended());
    expected.push_back(status);
  }
  CHECK(rejects.seen() == expected);
  CHECK(handled == 0);
  CHECK(eventually([&] { return server->connections() == 0; }));
}

TEST_CASE("a sender of ten megabytes too many gets to read 413") {
  net::loop on;
  auto server = serve(on, echo);
  auto peer = raw_socket::connect_to(server->port());
  REQUIRE(peer.send(post_head(10 << 20)));
  const std::string block(64 * 1024, 'x');
  for (int i = 0; i < 160 && peer.send(block); ++i) {
  }
  CHECK(peer.until("\r\n") == "HTTP/1.1 413 Content Too Large\r\n");
}

TEST_CASE("a chunked body over the limit is cut off") {
  server_options how;
  how.max_body = 100'000;
  net::loop on;
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
  for (int i = 0; i < 100 && peer.send(chunk); ++i) {
  }
  CHECK(peer.until("\r\n") == "HTTP/1.1 413 Content Too Large\r\n");
}

TEST_CASE("a chunk header without an end is refused") {
  net::loop on;
  auto server = serve(on, echo);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  peer.send("1;" + std::string(400'000, 'x'));
  CHECK(peer.until("\r\n").starts_with("HTTP/1.1 4"));
}

TEST_CASE("a header that comes byte by byte for too long is 408") {
  reject_log rejects;
  server_options how;
  how.header_timeout = 300ms;
  how.on_reject = rejects.hook();
  net::loop on;
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  std::size_t at = 0;
  // Every byte would restart a timer that is armed per read.
  REQUIRE(eventually([&] {
    peer.send(at < bytes.size() ? bytes.substr(at++, 1) : "x");
    std::this_thread::sleep_for(20ms);
    return !rejects.seen().empty();
  }));
  CHECK(rejects.seen() == std::vector<unsigned>{408});
  CHECK(peer.until("\r\n") == "HTTP/1.1 408 Request Timeout\r\n");
}

TEST_CASE("the time for a header counts on a kept connection too") {
  server_options how;
  how.header_timeout = 300ms;
  how.idle_timeout = 1h;
  net::loop on;
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(peer.answer().second == "GET /1 ");
  peer.send("GET /2 HT");
  CHECK(peer.until("\r\n") == "HTTP/1.1 408 Request Timeout\r\n");
}

TEST_CASE("a body that comes too slowly is 408") {
  server_options how;
  how.body_timeout = 300ms;
  net::loop on;
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send(post_head(10) + "12345");
  CHECK(peer.until("\r\n") == "HTTP/1.1 408 Request Timeout\r\n");
}

TEST_CASE("a peer that says nothing is dropped without a word") {
  reject_log rejects;
  server_options how;
  how.header_timeout = 200ms;
  how.on_reject = rejects.hook();
  net::loop on;
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  CHECK(peer.rest().empty());
  CHECK(peer.ended());
  CHECK(rejects.seen().empty());
}

TEST_CASE("a kept connection is dropped after its idle time") {
  server_options how;
  how.idle_timeout = 200ms;
  net::loop on;
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(peer.answer().second == "GET /1 ");
  peer.send("\r\n");  // line breaks don't begin a request
  CHECK(peer.rest().empty());
  CHECK(peer.ended());
}

TEST_CASE("a peer that doesn't read its answer is dropped") {
  server_options how;
  how.write_timeout = 300ms;
  net::loop on;
  auto server = serve(
      on,
      [](request&&, const responder& answer) {
        answer(text(std::string(64 << 20, 'x')));
      },
      how);
  auto peer = raw_socket::connect_to(server->port());
  peer.shrink_receive_buffer();
  peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually([&] { return server->connections() == 1; }));
  CHECK(eventually([&] { return server->connections() == 0; }));
}

TEST_CASE("connections over the cap are closed, and the cap is freed again") {
  reject_log rejects;
  server_options how;
  how.on_reject = rejects.hook();
  how.max_connections = 2;
  net::loop on;
  auto server = serve(on, echo, how);
  auto one = raw_socket::connect_to(server->port());
  auto two = raw_socket::connect_to(server->port());
  REQUIRE(eventually([&] { return server->connections() == 2; }));
  // Neither idles: both wait for the go-ahead's body.
  for (auto* busy : {&one, &two}) {
    busy->send(
        "POST /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        "Content-Length: 1\r\n\r\n");
    CHECK(busy->until("\r\n\r\n").starts_with("HTTP/1.1 100 "));
  }
  auto three = raw_socket::connect_to(server->port());
  three.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(three.rest().empty());
  CHECK(rejects.seen() == std::vector<unsigned>{503});
  one.send("x");
  CHECK(one.answer().second == "POST /1 x");
  one.close();
  REQUIRE(eventually([&] { return server->connections() == 1; }));
  auto four = raw_socket::connect_to(server->port());
  four.send("GET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(four.answer().second == "GET /4 ");
}

TEST_CASE("Expect: 100-continue gets its go-ahead, then the answer") {
  net::loop on;
  auto server = serve(on, echo);
  auto peer = raw_socket::connect_to(server->port());
  peer.send(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
      "Content-Length: 5\r\n\r\n");
  CHECK(peer.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("hello");
  CHECK(peer.answer().second == "POST / hello");
}

TEST_CASE("HEAD gets the head of the answer alone") {
  net::loop on;
  auto server = serve(on, echo);
  auto peer = raw_socket::connect_to(server->port());
  peer.send(
      "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /y HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto head = peer.until("\r\n\r\n");
  CHECK(head.find("Content-Length: 8\r\n") != head.npos);
  CHECK(peer.answer().second == "GET /y ");
}

TEST_CASE("HTTP/1.0 closes unless it asks to be kept") {
  net::loop on;
  auto server = serve(on, echo);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(peer.until("\r\n\r\n").find("Connection: keep-alive\r\n") !=
        std::string::npos);
  CHECK(peer.until("GET /1 ") == "GET /1 ");
  peer.send("GET /2 HTTP/1.0\r\n\r\n");
  CHECK(peer.rest().ends_with("\r\n\r\nGET /2 "));
  CHECK(peer.ended());
}

TEST_CASE("a peer that has ended its side still gets its answer") {
  net::loop on;
  auto server = serve(on, [&](request&& what, const responder& answer) {
    on.after(50ms, [what = std::move(what), answer]() mutable {
      echo(std::move(what), answer);
    });
  });
  auto peer = raw_socket::connect_to(server->port());
  peer.send(post_head(2) + "hi");
  peer.end_sending();
  CHECK(peer.answer().second == "POST / hi");
  CHECK(peer.rest().empty());
  CHECK(eventually([&] { return server->connections() == 0; }));
}

TEST_CASE("a request that ends half-way changes nothing") {
  std::atomic<int> handled{0};
  net::loop on;
  auto server = serve(on, [&](request&&, const responder& answer) {
    ++handled;
    answer({});
  });
  for (const std::string& part :
       {std::string{"GET / HT"}, post_head(10) + "12345"}) {
    auto peer = raw_socket::connect_to(server->port());
    peer.send(part);
    peer.end_sending();
    CHECK(peer.rest().empty());
    auto rude = raw_socket::connect_to(server->port());
    rude.send(part);
    rude.reset();
  }
  CHECK(eventually([&] { return server->connections() == 0; }));
  CHECK(handled == 0);
}

TEST_CASE("an answer that can't be sent as it is becomes 500") {
  net::loop on;
  auto server = serve(on, [](request&&, const responder& answer) {
    auto forged = text("x");
    forged.headers.add("X", "y\r\nSet-Cookie: z");
    answer(forged);
  });
  auto peer = raw_socket::connect_to(server->port());
  peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto head = peer.until("\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 500 "));
  CHECK(head.find("Set-Cookie") == head.npos);
}

TEST_CASE("a request nobody answers is 500, and so is one that throws") {
  net::loop on;
  auto server = serve(on, [](request&& what, const responder&) {
    if (what.target == "/throw")
      throw std::runtime_error{"on purpose"};
  });
  auto peer = raw_socket::connect_to(server->port());
  for (const std::string target : {"/drop", "/throw", "/drop"}) {
    peer.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(peer.answer().first == "HTTP/1.1 500 Internal Server Error");
  }
}

TEST_CASE("the peer's address is known, also over IPv6") {
  net::loop on;
  server_options how;
  how.address = "[::1]";
  auto made = server::listen(on, how, [](request&& what, responder answer) {
    answer(text(what.peer));
  });
  if (!made) {
    WARN("no IPv6 here: " << to_string(made.error()));
    return;
  }
  origin to;
  to.host = "::1";
  to.port = (*made)->port();
  auto client = client::make(on, to);
  CHECK(call(**client, get("/"))->body == "::1");
}

TEST_CASE("an address in use, or that is none, is an error") {
  net::loop on;
  auto first = serve(on, echo);
  server_options how;
  how.port = first->port();
  const auto taken = server::listen(on, how, echo);
  REQUIRE(taken.has_error());
  CHECK(taken.error().code == errc::conflict);
  CHECK(taken.error().context.find(std::to_string(how.port)) !=
        std::string::npos);
  first->close();
  CHECK(server::listen(on, how, echo).has_value());
  how.address = "localhost.invalid";
  CHECK(server::listen(on, how, echo).error().code == errc::bad_input);
  how.address = "192.0.2.1";  // not this machine's (RFC 5737)
  CHECK(server::listen(on, how, echo).error().code == errc::bad_input);
}
