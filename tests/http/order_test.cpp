#include <optional>

#include "tests/http/support.hpp"
#include "tests/net/raw.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::testing;

namespace {

std::string get_line(int n) {
  return "GET /" + std::to_string(n) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

}  // namespace

TEST_CASE("pipelined requests are answered in order, one at a time") {
  std::atomic<int> at_once{0}, most{0};
  net::loop on;
  net::loop other{2};
  auto server = serve(on, [&](request&& what, const responder& answer) {
    most = std::max<int>(most, ++at_once);
    const auto n = std::stoi(what.target.substr(1));
    if (n % 3 == 0) {  // at once
      --at_once;
      return echo(std::move(what), answer);
    }
    auto later = [&, what = std::move(what), answer]() mutable {
      --at_once;
      echo(std::move(what), answer);
    };
    n % 3 == 1 ? other.post(later) : on.post(later);
  });
  auto peer = raw_socket::connect_to(server->port());
  constexpr int requests = 3000;
  std::string all;
  for (int i = 0; i < requests; ++i)
    all += get_line(i);
  std::thread sender{[&] { peer.send(all); }};
  for (int i = 0; i < requests; ++i) {
    const auto [line, body] = peer.answer();
    if (body != "GET /" + std::to_string(i) + " ") {
      CHECK(body == "GET /" + std::to_string(i) + " ");
      break;
    }
  }
  sender.join();
  CHECK(most == 1);
}

TEST_CASE("a handler is never called from inside an answer") {
  net::loop on;
  std::optional<responder> held;
  bool inside = false;
  std::atomic<int> nested{0};
  auto server = serve(on, [&](request&& what, const responder& answer) {
    if (inside)
      ++nested;
    if (what.target == "/0") {
      held = answer;
      return;
    }
    if (what.target == "/1") {
      inside = true;
      (*held)(text("held"));
      held.reset();
      inside = false;
    }
    echo(std::move(what), answer);
  });
  auto one = raw_socket::connect_to(server->port());
  one.send(get_line(0) + get_line(2) + get_line(3));
  std::this_thread::sleep_for(50ms);  // both are in the server's buffer
  auto two = raw_socket::connect_to(server->port());
  two.send(get_line(1));
  CHECK(two.answer().second == "GET /1 ");
  CHECK(one.answer().second == "held");
  CHECK(one.answer().second == "GET /2 ");
  CHECK(one.answer().second == "GET /3 ");
  CHECK(nested == 0);
}

TEST_CASE("a client and a server may be closed from each other's threads") {
  net::loop on{4};
  for (int round = 0; round < 20; ++round) {
    std::promise<void> closed;
    std::unique_ptr<client> a, b;
    auto server = serve(on, echo);
    a = client_for(on, server->port());
    b = client_for(on, server->port());
    std::atomic<int> left{2};
    const auto close = [&](client& other) {
      return [&](const outcome&) {
        other.close();
        server->close();
        if (--left == 0)
          closed.set_value();
      };
    };
    a->send(get("/"), 60s, close(*b));
    b->send(get("/"), 60s, close(*a));
    REQUIRE(closed.get_future().wait_for(patience) ==
            std::future_status::ready);
  }
}

TEST_CASE("answers from other threads reach their own callers") {
  net::loop on{2};
  net::loop workers{4};
  auto server = serve(on, [&](request&& what, const responder& answer) {
    workers.post([what = std::move(what), answer]() mutable {
      echo(std::move(what), answer);
      answer(text("a second answer does nothing"));
    });
  });
  net::loop mine;
  auto client = client_for(mine, server->port());
  constexpr int calls = 2000;
  std::atomic<int> right{0}, wrong{0};
  for (int i = 0; i < calls; ++i) {
    const auto n = std::to_string(i);
    client->send(post("/", n), 60s, [&, n](outcome o) {
      ++(o && o->body == "POST / " + n ? right : wrong);
    });
  }
  CHECK(eventually([&] { return right + wrong == calls; }));
  CHECK(wrong == 0);
}

TEST_CASE("an answer may come long after its caller, server and loop") {
  std::vector<responder> kept;
  std::mutex mutex;
  {
    net::loop on;
    auto server = serve(on, [&](request&&, responder answer) {
      const std::lock_guard lock{mutex};
      kept.push_back(std::move(answer));
    });
    std::vector<raw_socket> peers;
    for (int i = 0; i < 4; ++i) {
      peers.push_back(raw_socket::connect_to(server->port()));
      peers.back().send(get_line(i));
    }
    REQUIRE(eventually([&] {
      const std::lock_guard lock{mutex};
      return kept.size() == 4;
    }));
    peers[0].reset();
    kept[0](text("nobody"));
    kept[1].start_stream(text(""));
    server->close();
    kept[2](text("closed"));
    CHECK(eventually([&] { return !kept[1].send_chunk("x"); }));
  }
  kept[3](text("too late"));
  kept.clear();
}

TEST_CASE("a stream arrives chunk by chunk and keeps the connection") {
  net::loop on;
  std::promise<responder> started;
  auto server = serve(on, [&](request&& what, const responder& answer) {
    if (what.target != "/0")
      return echo(std::move(what), answer);
    answer.start_stream(text("first"));
    started.set_value(answer);
  });
  auto peer = raw_socket::connect_to(server->port());
  peer.send(get_line(0) + get_line(1));
  const auto head = peer.until("\r\n\r\n");
  CHECK(head.find("Transfer-Encoding: chunked\r\n") != head.npos);
  CHECK(head.find("Content-Length") == head.npos);
  CHECK(peer.until("first\r\n") == "5\r\nfirst\r\n");
  const auto stream = started.get_future().get();
  CHECK(stream.send_chunk(std::string(17, 'x')));
  CHECK(peer.until("x\r\n") == "11\r\n" + std::string(17, 'x') + "\r\n");
  stream.end_stream();
  CHECK_FALSE(stream.send_chunk("over"));
  CHECK(peer.until("0\r\n\r\n") == "0\r\n\r\n");
  CHECK(peer.answer().second == "GET /1 ");
}

TEST_CASE("a stream that nobody reads is refused more, never buffered on") {
  net::loop on;
  std::promise<responder> started;
  auto server = serve(on, [&](request&&, const responder& answer) {
    answer.start_stream(text(""));
    started.set_value(answer);
  });
  auto peer = raw_socket::connect_to(server->port());
  peer.shrink_receive_buffer();
  peer.send(get_line(0));
  const auto stream = started.get_future().get();
  const std::string chunk(64 * 1024, 'x');
  std::size_t taken = 0;
  for (int i = 0; i < 10'000 && stream.send_chunk(chunk); ++i)
    taken += chunk.size();
  // What the kernel holds for both ends, and the stated megabyte.
  CHECK(taken < (64 << 20));
  peer.reset();
  CHECK(eventually([&] { return server->connections() == 0; }));
  CHECK_FALSE(stream.send_chunk("x"));
}

TEST_CASE("a stream's sender learns that its reader is gone") {
  net::loop on;
  std::promise<responder> started;
  auto server = serve(on, [&](request&&, const responder& answer) {
    answer.start_stream(text(""));
    started.set_value(answer);
  });
  auto peer = raw_socket::connect_to(server->port());
  peer.send(get_line(0));
  const auto stream = started.get_future().get();
  peer.until("\r\n\r\n");
  peer.close();
  CHECK(eventually([&] { return !stream.send_chunk("tick"); }));
}

TEST_CASE("a stream that was dropped without an end is not taken for whole") {
  net::loop on;
  auto server = serve(on, [](request&&, const responder& answer) {
    answer.start_stream(text("half"));
  });
  auto client = client_for(on, server->port());
  const auto got = call(*client, get("/"));
  REQUIRE(got.has_error());
  CHECK(got.error().maybe_sent);
  CHECK(got.error().what.code == errc::unknown_outcome);
}

TEST_CASE("a stream to HTTP/1.0 ends with the connection") {
  net::loop on;
  auto server = serve(on, [](request&&, const responder& answer) {
    answer.start_stream(text("one "));
    answer.send_chunk("two");
    answer.end_stream();
  });
  auto peer = raw_socket::connect_to(server->port());
  peer.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(peer.rest().ends_with("\r\n\r\none two"));
}

TEST_CASE("draining answers what is in progress and closes the rest") {
  net::loop on;
  std::promise<responder> asked;
  auto server = serve(on, [&](request&& what, const responder& answer) {
    if (what.target == "/0")
      return asked.set_value(answer);
    echo(std::move(what), answer);
  });
  auto idle = raw_socket::connect_to(server->port());
  idle.send(get_line(1));
  CHECK(idle.answer().second == "GET /1 ");
  auto busy = raw_socket::connect_to(server->port());
  busy.send(get_line(0));
  auto half = raw_socket::connect_to(server->port());
  half.send("GET /2 HTTP/1.1\r\nHo");
  const auto answer = asked.get_future().get();
  REQUIRE(eventually([&] { return server->connections() == 3; }));
  std::this_thread::sleep_for(20ms);  // let the half request be read
  server->drain();
  CHECK(idle.rest().empty());
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  raw_socket late{fd};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0);
  half.send("st: a\r\n\r\n");
  const auto last = half.rest();
  CHECK(last.find("Connection: close\r\n") != last.npos);
  CHECK(last.ends_with("GET /2 "));
  answer(text("done"));
  const auto done = busy.rest();
  CHECK(done.find("Connection: close\r\n") != done.npos);
  CHECK(done.ends_with("done"));
  idle.close();
  busy.close();
  half.close();
  CHECK(eventually([&] { return server->connections() == 0; }));
}

TEST_CASE("no handler runs after close has returned") {
  net::loop there{2}, here;
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> closed{false};
    std::atomic<int> after{0}, served{0};
    auto server = serve(there, [&](request&& what, const responder& answer) {
      if (closed)
        ++after;
      ++served;
      echo(std::move(what), answer);
    });
    client_options how;
    how.max_connections = 8;
    auto client = client_for(here, server->port(), how);
    std::atomic<int> ended{0};
    constexpr int calls = 200;
    for (int i = 0; i < calls; ++i)
      client->send(post("/", "x"), 60s, [&](const outcome&) { ++ended; });
    eventually([&] { return served > round * 5; });
    server->close();
    closed = true;
    client->close();
    CHECK(ended == calls);
    CHECK(after == 0);
    CHECK(server->connections() == 0);
  }
}

TEST_CASE("a server may be closed from its own handler") {
  net::loop on{2};
  std::unique_ptr<server> it;
  std::atomic<bool> closed{false};
  it = serve(on, [&](request&&, const responder& answer) {
    it->close();
    answer(text("x"));
    closed = true;
  });
  auto peer = raw_socket::connect_to(it->port());
  peer.send(get_line(0));
  CHECK(peer.rest().empty());
  CHECK(eventually([&] { return closed.load(); }));
}

TEST_CASE("a loop that is stopped first leaves its server closable") {
  net::loop on{2};
  auto server = serve(on, echo);
  auto client = client_for(on, server->port());
  CHECK(call(*client, get("/")).has_value());
  std::atomic<int> ended{0};
  on.stop();
  client->send(get("/"), 1s, [&](const outcome&) { ++ended; });
  std::atomic<bool> ran{false};
  on.post([&] { ran = true; });
  client->close();
  CHECK(ended == 1);
  CHECK_FALSE(ran);
  server->close();
}
