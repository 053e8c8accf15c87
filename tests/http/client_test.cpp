#include <future>

#include "tests/http/support.hpp"
#include "tests/net/raw.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::testing;

namespace {

/// No part of a request may show in an error.
void check_secretive(const error& e) {
  CHECK(e.context.find("SECRET") == std::string::npos);
}

failure failure_of(const outcome& got) {
  REQUIRE(got.has_error());
  check_secretive(got.error().what);
  return got.error();
}

request secret_post() {
  auto what = post("/botSECRET/x?SECRET", "SECRET");
  what.headers.add("X-Token", "SECRET");
  return what;
}

/// Reads one request off the peer.
void swallow(raw_socket& peer) {
  const auto head = peer.until("\r\n\r\n");
  const auto at = head.find("Content-Length: ");
  if (at == head.npos)
    return;
  const auto length = std::stoul(head.substr(at + 16));
  while (peer.held().size() < length && peer.receive()) {
  }
}

auto into(std::promise<outcome>& p) {
  return [&p](const outcome& o) { p.set_value(o); };
}

/// A port of loopback on which nothing listens.
std::uint16_t dead_port() {
  raw_server gone{[](raw_socket&, int) {}};
  return gone.port();
}

}  // namespace

TEST_CASE("a refused connection was certainly not sent") {
  net::loop on;
  const auto port = dead_port();
  auto client = client_for(on, port);
  const auto f = failure_of(call(*client, secret_post()));
  CHECK_FALSE(f.maybe_sent);
  CHECK(f.what.code == errc::unavailable);
  CHECK(f.what.context.find("127.0.0.1:" + std::to_string(port)) !=
        std::string::npos);
  CHECK(f.what.context.find("refused") != std::string::npos);
}

TEST_CASE("a name that does not resolve was certainly not sent") {
  net::loop on;
  origin to;
  to.host = "no-such-host.invalid";
  auto client = client::make(on, to);
  const auto f = failure_of(call(**client, secret_post()));
  CHECK_FALSE(f.maybe_sent);
  CHECK(f.what.context.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("a name is resolved, and each of its addresses tried") {
  net::loop on;
  // "localhost" is often ::1 first, where this server does not listen.
  auto server = serve(on, echo);
  origin to;
  to.host = "localhost";
  to.port = server->port();
  to.prefix = "/root";
  auto client = client::make(on, to);
  for (int i = 0; i < 3; ++i) {
    const auto answer = call(**client, get("/a"));
    REQUIRE(answer.has_value());
    CHECK(answer->body == "GET /root/a ");
  }
}

TEST_CASE("a server that never answers is a timeout that may have been sent") {
  raw_server quiet{[](raw_socket& peer, int) { peer.rest(); }};
  net::loop on;
  auto client = client_for(on, quiet.port());
  const auto f = failure_of(call(*client, secret_post(), 150ms));
  CHECK(f.maybe_sent);
  CHECK(f.what.code == errc::timed_out);
  CHECK(eventually([&] { return client->now().connections == 0; }));
}

TEST_CASE("what was given up does not arrive later") {
  std::promise<void> given_up;
  std::promise<std::pair<std::size_t, bool>> seen;
  raw_server stuck{[&](raw_socket& peer, int) {
    given_up.get_future().wait();
    const auto came = peer.rest().size();
    seen.set_value({came, peer.ended()});
  }};
  net::loop on;
  auto client = client_for(on, stuck.port());
  const std::string large(32 << 20, 'x');
  const auto f = failure_of(call(*client, post("/", large), 300ms));
  CHECK(f.maybe_sent);
  given_up.set_value();
  const auto [came, in_good_order] = seen.get_future().get();
  CHECK(came < large.size());
  CHECK_FALSE(in_good_order);
}

TEST_CASE("an answer that drips in for ever does not outlive its time") {
  raw_server slow{[](raw_socket& peer, int) {
    swallow(peer);
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (peer.send("x"))
      std::this_thread::sleep_for(10ms);
  }};
  net::loop on;
  auto client = client_for(on, slow.port());
  const auto f = failure_of(call(*client, secret_post(), 200ms));
  CHECK(f.what.code == errc::timed_out);
  CHECK(f.maybe_sent);
}

TEST_CASE("a reset in the middle of an answer may have been carried out") {
  raw_server rude{[](raw_socket& peer, int) {
    swallow(peer);
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    std::this_thread::sleep_for(20ms);
    peer.reset();
  }};
  net::loop on;
  auto client = client_for(on, rude.port());
  const auto f = failure_of(call(*client, secret_post()));
  CHECK(f.maybe_sent);
  CHECK(f.what.code == errc::unknown_outcome);
  CHECK(rude.accepted() == 1);
}

TEST_CASE("an answer over the limit is refused and its connection closed") {
  net::loop on;
  auto server = serve(on, [](request&& what, const responder& answer) {
    if (what.target == "/small")
      return answer(text("ok"));
    if (what.target == "/exact")
      return answer(text(std::string(1000, 'x')));
    if (what.target == "/long")
      return answer(text(std::string(1001, 'x')));
    answer.start_stream(text(std::string(900, 'x')));
    answer.send_chunk(std::string(900, 'x'));
    answer.end_stream();
  });
  client_options how;
  how.max_body = 1000;
  auto client = client_for(on, server->port(), how);
  CHECK(call(*client, get("/exact"))->body.size() == 1000);
  for (const auto* target : {"/long", "/chunked"}) {
    const auto f = failure_of(call(*client, get(target)));
    CHECK(f.what.code == errc::too_large);
    CHECK(f.maybe_sent);
  }
  CHECK(call(*client, get("/small"))->body == "ok");
}

TEST_CASE("a pooled connection that was closed meanwhile harms no call") {
  raw_server closing{[](raw_socket& peer, int n) {
    swallow(peer);
    peer.send(ok_answer(std::to_string(n)));
  }};
  net::loop on;
  auto client = client_for(on, closing.port());
  for (int i = 1; i <= 5; ++i) {
    const auto got = call(*client, secret_post());
    REQUIRE(got.has_value());
    CHECK(got->body == std::to_string(i));
    REQUIRE(eventually([&] { return client->now().connections == 0; }));
  }
}

TEST_CASE("a stale connection is tried again for GET, and once only") {
  // Answers one request per connection, takes the second one and hangs up.
  raw_server stale{[](raw_socket& peer, int n) {
    swallow(peer);
    if (n == 3)
      return;
    peer.send(ok_answer(std::to_string(n)));
    peer.until("\r\n\r\n");
  }};
  net::loop on;
  auto client = client_for(on, stale.port());
  CHECK(call(*client, get("/"))->body == "1");
  CHECK(call(*client, get("/"))->body == "2");
  const auto f = failure_of(call(*client, get("/")));
  CHECK(f.maybe_sent);
  CHECK(stale.accepted() == 3);
}

TEST_CASE("a POST on a stale connection is never sent twice") {
  raw_server stale{[](raw_socket& peer, int n) {
    swallow(peer);
    peer.send(ok_answer(std::to_string(n)));
    peer.until("\r\n\r\n");
  }};
  net::loop on;
  auto client = client_for(on, stale.port());
  CHECK(call(*client, secret_post())->body == "1");
  const auto f = failure_of(call(*client, secret_post()));
  CHECK(f.maybe_sent);
  CHECK(f.what.code == errc::unknown_outcome);
  CHECK(stale.accepted() == 1);
}

TEST_CASE("an early answer is taken although the body was not read") {
  raw_server early{[](raw_socket& peer, int) {
    peer.until("\r\n\r\n");
    peer.send(
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n"
        "Connection: close\r\n\r\nno");
    peer.end_sending();
    peer.rest();
  }};
  net::loop on;
  auto client = client_for(on, early.port());
  const auto got = call(*client, post("/", std::string(32 << 20, 'x')));
  REQUIRE(got.has_value());
  CHECK(got->status == 413);
  CHECK(got->body == "no");
  CHECK(eventually([&] { return client->now().connections == 0; }));
}

TEST_CASE("Connection: close is honoured") {
  raw_server once{[](raw_socket& peer, int n) {
    swallow(peer);
    peer.send(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n"
        "\r\n" +
        std::to_string(n));
    peer.rest();
  }};
  net::loop on;
  auto client = client_for(on, once.port());
  CHECK(call(*client, secret_post())->body == "1");
  CHECK(call(*client, secret_post())->body == "2");
  CHECK(once.accepted() == 2);
}

TEST_CASE("bytes after an answer are never taken for the next one") {
  raw_server chatty{[](raw_socket& peer, int n) {
    swallow(peer);
    peer.send(ok_answer(std::to_string(n)) + ok_answer("forged"));
    peer.rest();
  }};
  net::loop on;
  auto client = client_for(on, chatty.port());
  CHECK(call(*client, secret_post())->body == "1");
  CHECK(call(*client, secret_post())->body == "2");
}

TEST_CASE("a peer that speaks no HTTP is an unknown outcome") {
  raw_server ssh{[](raw_socket& peer, int) {
    peer.until("\r\n\r\n");
    peer.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    peer.rest();
  }};
  net::loop on;
  auto client = client_for(on, ssh.port());
  const auto f = failure_of(call(*client, secret_post()));
  CHECK(f.maybe_sent);
  CHECK(f.what.code == errc::unknown_outcome);
}

TEST_CASE("the pool opens no more connections than it may") {
  net::loop there, here;
  std::vector<responder> held;
  std::mutex mutex;
  auto server = serve(there, [&](request&&, responder answer) {
    const std::lock_guard lock{mutex};
    held.push_back(std::move(answer));
  });
  client_options how;
  how.max_connections = 3;
  auto client = client_for(here, server->port(), how);
  std::atomic<int> done{0};
  for (int i = 0; i < 10; ++i)
    client->send(get("/"), 60s, [&](const outcome& o) { done += o ? 1 : 0; });
  const auto waits_for = [&](std::size_t n) {
    return eventually([&] {
      const std::lock_guard lock{mutex};
      return held.size() == n;
    });
  };
  for (int round = 0; round < 10; ++round) {
    REQUIRE(waits_for(static_cast<std::size_t>(std::min(3, 10 - round))));
    const auto now = client->now();
    CHECK(now.in_flight <= 3);
    CHECK(now.connections <= 3);
    CHECK(server->connections() <= 3);
    const std::lock_guard lock{mutex};
    held.back()(text("x"));
    held.pop_back();
  }
  CHECK(eventually([&] { return done == 10; }));
  CHECK(client->now().waiting == 0);
}

TEST_CASE("calls over the bound of waiting ones fail at once, unsent") {
  raw_server quiet{[](raw_socket& peer, int) { peer.rest(); }};
  net::loop on;
  client_options how;
  how.max_connections = 1;
  how.max_waiting = 5;
  auto client = client_for(on, quiet.port(), how);
  std::atomic<int> refused{0}, ended{0};
  const auto send = [&] {
    client->send(get("/"), 60s, [&](const outcome& o) {
      ++ended;
      if (o.has_error() && o.error().what.code == errc::unavailable &&
          !o.error().maybe_sent)
        ++refused;
    });
  };
  send();
  REQUIRE(eventually([&] { return client->now().in_flight == 1; }));
  for (int i = 0; i < 9; ++i)
    send();
  CHECK(eventually([&] { return refused == 4; }));
  CHECK(client->now().waiting == 5);
  client->close();
  CHECK(ended == 10);
  CHECK(refused == 4);
}

TEST_CASE("a call that gets no connection in time was not sent") {
  raw_server quiet{[](raw_socket& peer, int) { peer.rest(); }};
  net::loop on;
  client_options how;
  how.max_connections = 1;
  how.connect_timeout = 200ms;
  auto client = client_for(on, quiet.port(), how);
  client->send(get("/"), 60s, [](const outcome&) {});
  REQUIRE(eventually([&] { return client->now().in_flight == 1; }));
  const auto f = failure_of(call(*client, secret_post(), 60s));
  CHECK_FALSE(f.maybe_sent);
  CHECK(f.what.code == errc::timed_out);
}

TEST_CASE("what finds no connection by its last moment is not sent late") {
  net::loop there, here;
  std::mutex mutex;
  std::vector<responder> held;
  std::vector<std::string> came;
  auto server = serve(there, [&](request&& r, responder answer) {
    const std::lock_guard lock{mutex};
    came.push_back(r.target);
    held.push_back(std::move(answer));
  });
  client_options how;
  how.max_connections = 1;
  auto client = client_for(here, server->port(), how);
  std::promise<outcome> first, late, last;
  const auto answer = [&](std::size_t n) {
    REQUIRE(eventually([&] {
      const std::lock_guard lock{mutex};
      return held.size() == n;
    }));
    const std::lock_guard lock{mutex};
    held.back()(text("x"));
  };
  const auto now = std::chrono::steady_clock::now();
  client->send(get("/first"), 60s, into(first), now + 1h);
  REQUIRE(eventually([&] { return client->now().in_flight == 1; }));
  client->send(get("/late"), 60s, into(late), now);
  client->send(get("/last"), 60s, into(last), now + 1h);
  answer(1);
  const auto f = failure_of(late.get_future().get());
  CHECK_FALSE(f.maybe_sent);
  CHECK(f.what.code == errc::timed_out);
  answer(2);
  CHECK(last.get_future().get().has_value());
  CHECK(came == std::vector<std::string>{"/first", "/last"});
}

TEST_CASE("a call past its last moment fails long before its patience ends") {
  raw_server quiet{[](raw_socket& peer, int) { peer.rest(); }};
  net::loop on;
  client_options how;
  how.max_connections = 1;
  how.connect_timeout = 1h;
  auto client = client_for(on, quiet.port(), how);
  client->send(get("/"), 1h, [](const outcome&) {});
  REQUIRE(eventually([&] { return client->now().in_flight == 1; }));
  std::promise<outcome> patient, late;
  const auto now = std::chrono::steady_clock::now();
  client->send(secret_post(), 1h, into(patient), now + 1h);
  client->send(secret_post(), 1h, into(late), now + 100ms);
  const auto f = failure_of(late.get_future().get());
  CHECK_FALSE(f.maybe_sent);
  CHECK(f.what.code == errc::timed_out);
  CHECK(client->now().waiting == 1);
  client->close();
  CHECK(failure_of(patient.get_future().get()).what.code == errc::cancelled);
}

TEST_CASE("an idle connection is closed after its time") {
  net::loop on;
  auto server = serve(on, echo);
  client_options how;
  how.idle_timeout = 100ms;
  auto client = client_for(on, server->port(), how);
  CHECK(call(*client, get("/")).has_value());
  CHECK(eventually([&] { return client->now().connections == 0; }));
  CHECK(eventually([&] { return server->connections() == 0; }));
  CHECK(call(*client, get("/")).has_value());
}

TEST_CASE(
    "close cancels what flies and what waits, and says which may be sent") {
  raw_server quiet{[](raw_socket& peer, int) { peer.rest(); }};
  net::loop on;
  client_options how;
  how.max_connections = 1;
  auto client = client_for(on, quiet.port(), how);
  std::atomic<int> sent{0}, unsent{0}, other{0};
  const auto count = [&](const outcome& o) {
    if (!o.has_error() || o.error().what.code != errc::cancelled)
      ++other;
    else
      ++(o.error().maybe_sent ? sent : unsent);
  };
  client->send(get("/"), 60s, count);
  REQUIRE(eventually([&] { return client->now().in_flight == 1; }));
  for (int i = 0; i < 5; ++i)
    client->send(get("/"), 60s, count);
  client->close();
  CHECK(sent == 1);
  CHECK(unsent == 5);
  CHECK(other == 0);
  client->send(get("/"), 60s, count);
  CHECK(eventually([&] { return unsent == 6; }));
}

TEST_CASE("a callback may send again and may close its client") {
  net::loop on;
  auto server = serve(on, echo);
  auto client = client_for(on, server->port());
  std::atomic<int> done{0};
  std::promise<void> ended;
  std::function<void(const outcome&)> again = [&](const outcome& o) {
    if (!o)
      return;
    if (++done < 50)
      return client->send(get("/"), 60s, again);
    client->close();
    ended.set_value();
  };
  client->send(get("/"), 60s, again);
  CHECK(ended.get_future().wait_for(patience) == std::future_status::ready);
  CHECK(done == 50);
}

TEST_CASE("a request that can't be sent is the caller's error") {
  net::loop on;
  auto server = serve(on, echo);
  auto client = client_for(on, server->port());
  auto forged = secret_post();
  forged.headers.add("X", "SECRET\r\nY: z");
  CHECK(failure_of(call(*client, forged)).what.code == errc::bad_input);
  CHECK(failure_of(call(*client, get("/SECRET x"))).what.code ==
        errc::bad_input);
  CHECK(failure_of(call(*client, get("SECRET"))).what.code == errc::bad_input);
  CHECK(server->connections() == 0);
}

TEST_CASE("a failure can be thrown, as every result") {
  const outcome none{failure{{errc::unavailable, "why"}, false}};
  CHECK_THROWS_AS(none.value(), bad_result);
}

TEST_CASE("a server that comes back is called again") {
  net::loop on;
  auto server = serve(on, echo);
  server_options same;
  same.port = server->port();
  auto client = client_for(on, same.port);
  CHECK(call(*client, get("/1")).has_value());
  server->close();
  REQUIRE(eventually([&] { return client->now().connections == 0; }));
  CHECK_FALSE(failure_of(call(*client, get("/2"))).maybe_sent);
  server = serve(on, echo, same);
  CHECK(call(*client, get("/3"))->body == "GET /3 ");
}
