#include "tests/store/cutting_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "tests/support/catch.hpp"

namespace troupe::store::test {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

bool send_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// What there is to read; nothing at the end.
std::string receive(int from) {
  std::string out(64 * 1024, '\0');
  const auto n = ::recv(from, out.data(), out.size(), 0);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

}  // namespace

cutting_proxy::cutting_proxy(std::uint16_t server) : server_{server} {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  auto at = loopback(0);
  socklen_t size = sizeof at;
  REQUIRE(listener_ >= 0);
  REQUIRE(wake_ >= 0);
  REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
  REQUIRE(::listen(listener_, 16) == 0);
  REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) ==
          0);
  port_ = ntohs(at.sin_port);
  thread_ = std::thread{[this] { run(); }};
}

cutting_proxy::~cutting_proxy() {
  over_ = true;
  const std::uint64_t one = 1;
  if (::write(wake_, &one, sizeof one) == sizeof one)
    thread_.join();
  for (const auto& each : pairs_) {
    ::close(each.client);
    ::close(each.server);
  }
  ::close(listener_);
  ::close(wake_);
}

void cutting_proxy::cut(std::string sign, moment when) {
  const std::lock_guard lock{mutex_};
  sign_ = std::move(sign);
  when_ = when;
}

void cutting_proxy::run() {
  while (!over_) {
    std::vector<pollfd> on{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& each : pairs_) {
      on.push_back({each.client, POLLIN, 0});
      on.push_back({each.server, POLLIN, 0});
    }
    if (::poll(on.data(), on.size(), -1) < 0)
      continue;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      auto& each = pairs_[i];
      const bool goes_on = (on[2 + 2 * i].revents == 0 || from_client(each)) &&
                           (on[3 + 2 * i].revents == 0 || from_server(each));
      if (goes_on)
        continue;
      ::close(std::exchange(each.client, -1));
      ::close(std::exchange(each.server, -1));
    }
    std::erase_if(pairs_, [](const pair& each) { return each.client < 0; });
    if (on[1].revents != 0)
      take_client();
  }
}

void cutting_proxy::take_client() {
  pair fresh;
  fresh.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  fresh.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto at = loopback(server_);
  if (::connect(fresh.server, reinterpret_cast<const sockaddr*>(&at),
                sizeof at) == 0) {
    const int yes = 1;
    ::setsockopt(fresh.client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ::setsockopt(fresh.server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    pairs_.push_back(std::move(fresh));
    return;
  }
  ::close(fresh.client);
  ::close(fresh.server);
}

bool cutting_proxy::from_client(pair& of) {
  const auto bytes = receive(of.client);
  if (bytes.empty())
    return false;
  {
    const std::lock_guard lock{mutex_};
    of.recent += bytes;
    if (!sign_.empty() && of.recent.find(sign_) != std::string::npos) {
      sign_.clear();
      if (when_ == moment::unheard) {
        ++cuts_;
        return false;
      }
      of.swallows = true;
    }
    if (of.recent.size() > sign_.size())
      of.recent.erase(0, of.recent.size() - sign_.size());
  }
  return send_all(of.server, bytes);
}

bool cutting_proxy::from_server(pair& of) {
  const auto bytes = receive(of.server);
  if (bytes.empty())
    return false;
  if (!of.swallows)
    return send_all(of.client, bytes);
  ++cuts_;
  return false;
}

}  // namespace troupe::store::test
