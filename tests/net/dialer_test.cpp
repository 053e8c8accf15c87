#include "net/dialer.hpp"

#include <future>
#include <memory>
#include <vector>

#include "tests/net/raw.hpp"

using namespace troupe;
using namespace troupe::net;
using namespace troupe::net::testing;

namespace {

/// Who owns a dialer and its socket.
struct caller : std::enable_shared_from_this<caller> {
  explicit caller(lane& on) : socket{on.io()} {}

  void start(std::vector<tcp::endpoint> to, mono_time until) {
    dial.start(std::move(to), until,
               [self = shared_from_this()](const error_code& ec) {
                 self->ended.set_value(ec);
               });
  }

  tcp_socket socket;
  dialer dial{socket};
  std::promise<error_code> ended;
};

tcp::endpoint loopback(std::uint16_t port) {
  return {asio::ip::address_v4::loopback(), port};
}

/// An address where nobody listens.
tcp::endpoint dead() {
  raw_server gone{[](raw_socket&, int) {}};
  return loopback(gone.port());
}

/// An address that swallows packets: its queue of connections is full.
class black_hole {
 public:
  black_hole() {
    tcp::acceptor& a = listener_;
    a.open(tcp::v4());
    a.bind(loopback(0));
    a.listen(0);
    filler_.connect(at());
  }
  tcp::endpoint at() const { return listener_.local_endpoint(); }

 private:
  asio::io_context io_;
  tcp::acceptor listener_{io_};
  tcp::socket filler_{io_};
};

/// Runs `act` on the lane with a caller of its own. @returns that caller.
template <class Act>
std::shared_ptr<caller> begin(loop& on, Act act) {
  auto& where = on.self().first();
  auto made = std::make_shared<caller>(where);
  where.run_and_wait([&] { act(*made); });
  return made;
}

error_code end_of(caller& of) {
  auto ended = of.ended.get_future();
  REQUIRE(ended.wait_for(patience) == std::future_status::ready);
  return ended.get();
}

}  // namespace

TEST_CASE("the first address that answers is connected to") {
  raw_server there{[](raw_socket& peer, int) { peer.rest(); }};
  loop on;
  const auto c = begin(on, [&](caller& x) {
    x.start({dead(), loopback(there.port()), dead()}, mono_now() + 1h);
  });
  CHECK_FALSE(end_of(*c));
  on.self().first().run_and_wait([&] {
    CHECK(c->dial.at() == loopback(there.port()));
    CHECK(c->socket.remote_endpoint() == c->dial.at());
    CHECK(c->socket.non_blocking());
    tcp::no_delay at_once;
    c->socket.get_option(at_once);
    CHECK(at_once.value());
    c->dial.sweep(mono_now() + 24h);
    CHECK(c->socket.is_open());
    c->socket.close();
  });
}

TEST_CASE("if no address answers, the error is the last one's") {
  loop on;
  const auto c = begin(on, [](caller& x) {
    x.start({dead(), dead()}, mono_now() + 1h);
  });
  CHECK(end_of(*c) == asio::error::connection_refused);
  const auto none = begin(on, [](caller& x) { x.start({}, mono_now() + 1h); });
  CHECK(end_of(*none) == asio::error::host_not_found);
}

TEST_CASE("an address that swallows packets does not use up all the time") {
  raw_server there{[](raw_socket& peer, int) { peer.rest(); }};
  const black_hole hole;
  loop on;
  const auto goes_on = [&](caller& x) {
    CHECK_FALSE(end_of(x));
    on.self().first().run_and_wait([&] {
      CHECK(x.dial.at() == loopback(there.port()));
      x.socket.close();
    });
  };
  const auto patient = begin(on, [&](caller& x) {
    const auto before = mono_now();
    x.start({hole.at(), loopback(there.port())}, before + 1h);
    x.dial.sweep(before + 1999ms);
    CHECK(x.socket.is_open());
    CHECK(x.dial.at() == hole.at());
    x.dial.sweep(mono_now() + 2s);
    CHECK_FALSE(x.socket.is_open());
  });
  goes_on(*patient);
  const auto hasty = begin(on, [&](caller& x) {
    const auto until = mono_now() + 2s;
    x.start({hole.at(), loopback(there.port())}, until);
    const auto now = mono_now();
    x.dial.sweep(now + (until - now) / 2);
    CHECK_FALSE(x.socket.is_open());
  });
  goes_on(*hasty);
}

TEST_CASE("the last address has all the time that is left, and no more") {
  const black_hole hole;
  loop on;
  const auto c = begin(on, [&](caller& x) {
    const auto until = mono_now() + 1h;
    x.start({hole.at()}, until);
    x.dial.sweep(until - 1ms);
    CHECK(x.socket.is_open());
    x.dial.sweep(until);
  });
  CHECK(end_of(*c) == asio::error::timed_out);
}

TEST_CASE("a dialer that was stopped calls nobody, and lets its owner go") {
  raw_server there{[](raw_socket& peer, int) { peer.rest(); }};
  const black_hole hole;
  loop on;
  for (const auto& to : {hole.at(), loopback(there.port())}) {
    auto c = begin(on, [&](caller& x) {
      x.start({to, to}, mono_now() + 1h);
      x.dial.stop();
      x.dial.sweep(mono_now() + 24h);
      CHECK(x.socket.is_open());  // it is not the dialer's any more
      x.socket.close();
    });
    auto ended = c->ended.get_future();
    const std::weak_ptr<caller> seen = c;
    c.reset();
    CHECK(eventually([&] { return seen.expired(); }));
    CHECK_THROWS_AS(ended.get(), std::future_error);  // nobody was called
  }
}

TEST_CASE("a loop that ends lets go of who is dialling") {
  const black_hole hole;
  std::weak_ptr<caller> seen;
  {
    loop on;
    seen = begin(on, [&](caller& x) { x.start({hole.at()}, mono_now() + 1h); });
    CHECK_FALSE(seen.expired());
  }
  CHECK(seen.expired());
}
