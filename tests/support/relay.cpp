#include "tests/support/relay.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "tests/support/catch.hpp"

namespace troupe::relay_test {

namespace {

constexpr std::size_t most_held = 64 * 1024;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

bool must_wait() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/// The peer hears of a connection that broke, not of one that is done.
void break_off(int fd) {
  const linger none{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  ::close(fd);
}

void send_at_once(int fd) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

relay::relay(std::uint16_t server) : server_{server} {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  REQUIRE(listener_ >= 0);
  REQUIRE(wake_ >= 0);
  auto at = loopback(0);
  socklen_t size = sizeof at;
  REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
  REQUIRE(::listen(listener_, 128) == 0);
  REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) ==
          0);
  port_ = ntohs(at.sin_port);
  thread_ = std::thread{[this] { run(); }};
}

relay::~relay() {
  over_ = true;
  wake();
  thread_.join();
  for (const pair& each : pairs_) {
    ::close(each.client);
    ::close(each.server);
  }
  ::close(listener_);
  ::close(wake_);
}

std::string relay::place() const {
  return "127.0.0.1:" + std::to_string(port_);
}

void relay::reset() {
  become(std::nullopt, true);
}

void relay::refuse() {
  become(mode::refuses, true);
}

void relay::hold() {
  become(mode::holds, false);
}

void relay::pass() {
  become(mode::passes, false);
}

std::size_t relay::connections() const {
  const std::lock_guard guard{lock_};
  return pairs_.size();
}

void relay::become(std::optional<mode> next, bool end_all) {
  {
    const std::lock_guard guard{lock_};
    mode_ = next.value_or(mode_);
    if (end_all) {
      for (const pair& each : pairs_) {
        break_off(each.client);
        break_off(each.server);
      }
      cuts_ += pairs_.size();
      pairs_.clear();
    }
  }
  wake();
}

void relay::wake() const {
  const std::uint64_t one = 1;
  // Full only if the thread is due to wake anyway.
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

// What a poll says may be about a socket that `become` closed meanwhile: so it
// only says that there is something to do, and every socket is tried.
void relay::run() {
  const auto wanted = [](int fd, bool in, bool out) {
    const int events = (in ? POLLIN : 0) | (out ? POLLOUT : 0);
    // One that only waits to be closed would wake us all the time.
    return pollfd{events == 0 ? -1 : fd, static_cast<short>(events), 0};
  };
  const auto reads = [](const way& what) {
    return !what.ended && what.held.size() < most_held;
  };
  while (!over_) {
    std::vector<pollfd> on{{wake_, POLLIN, 0}};
    {
      const std::lock_guard guard{lock_};
      if (mode_ != mode::holds) {
        on.push_back({listener_, POLLIN, 0});
        for (const pair& each : pairs_) {
          on.push_back(
              wanted(each.client, reads(each.up), !each.down.held.empty()));
          on.push_back(
              wanted(each.server, reads(each.down), !each.up.held.empty()));
        }
      }
    }
    if (::poll(on.data(), on.size(), -1) < 0)
      continue;
    std::uint64_t woken = 0;
    [[maybe_unused]] const auto n = ::read(wake_, &woken, sizeof woken);
    const std::lock_guard guard{lock_};
    if (mode_ == mode::holds)
      continue;
    take_clients();
    move_all();
  }
}

void relay::take_clients() {
  for (;;) {
    const int client =
        ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
      return;
    if (mode_ == mode::refuses) {
      break_off(client);
      ++cuts_;
      continue;
    }
    const int server =
        ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto at = loopback(server_);
    if (server < 0 || (::connect(server, reinterpret_cast<const sockaddr*>(&at),
                                 sizeof at) != 0 &&
                       errno != EINPROGRESS)) {
      break_off(client);
      if (server >= 0)
        ::close(server);
      continue;
    }
    send_at_once(client);
    send_at_once(server);
    pairs_.push_back({client, server});
  }
}

void relay::move_all() {
  for (auto each = pairs_.begin(); each != pairs_.end();) {
    if (move(each->client, each->server, each->up) &&
        move(each->server, each->client, each->down)) {
      ++each;
      continue;
    }
    ::close(each->client);
    ::close(each->server);
    each = pairs_.erase(each);
  }
}

/// @returns false if this connection is over
bool relay::move(int from, int to, way& what) {
  char bytes[16 * 1024];
  while (!what.ended && what.held.size() < most_held) {
    const auto n = ::recv(from, bytes, sizeof bytes, 0);
    if (n < 0 && !must_wait())
      return false;
    if (n < 0)
      break;
    what.ended = n == 0;
    what.held.append(bytes, static_cast<std::size_t>(n));
  }
  while (!what.held.empty()) {
    const auto n = ::send(to, what.held.data(), what.held.size(), MSG_NOSIGNAL);
    if (n < 0 && !must_wait())
      return false;
    if (n < 0)
      break;
    what.held.erase(0, static_cast<std::size_t>(n));
  }
  return !what.ended || !what.held.empty();
}

}  // namespace troupe::relay_test
