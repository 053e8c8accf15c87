#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/net/support.hpp"

namespace troupe::net::testing {

/// A blocking TCP socket for bytes that no decent client would send. Every
/// operation is bounded by `patience`.
class raw_socket {
 public:
  explicit raw_socket(int fd) : fd_{fd} {}
  raw_socket(raw_socket&& other) noexcept
      : fd_{std::exchange(other.fd_, -1)}, held_{std::move(other.held_)} {}
  raw_socket& operator=(raw_socket&&) = delete;
  ~raw_socket() { close(); }

  static raw_socket connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    return raw_socket{fd};
  }

  /// False if the peer has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd ready{fd_, POLLOUT, 0};
      if (::poll(&ready, 1, 60'000) != 1)
        return false;
      const auto n =
          ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN)
        return false;
      if (n > 0)
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  /// More bytes into `held()`; false at the end, a reset or out of patience.
  bool receive() {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 60'000) != 1)
      return false;
    char block[16 * 1024];
    const auto n = ::recv(fd_, block, sizeof block, 0);
    if (n == 0)
      ended_ = true;
    if (n <= 0)
      return false;
    held_.append(block, static_cast<std::size_t>(n));
    return true;
  }
  int fd() const { return fd_; }
  const std::string& held() const { return held_; }
  /// True if the peer closed in good order.
  bool ended() const { return ended_; }

  /// Everything up to and with `mark`, taken off; empty if it never comes.
  std::string until(std::string_view mark) {
    for (;;) {
      const auto at = held_.find(mark);
      if (at != held_.npos) {
        auto out = held_.substr(0, at + mark.size());
        held_.erase(0, at + mark.size());
        return out;
      }
      if (!receive())
        return {};
    }
  }

  /// Everything until the peer closes.
  std::string rest() {
    while (receive()) {
    }
    return std::exchange(held_, {});
  }

  /// One answer with a Content-Length: its status line and its body.
  std::pair<std::string, std::string> answer() {
    const auto head = until("\r\n\r\n");
    const auto line = head.substr(0, head.find("\r\n"));
    const auto at = head.find("Content-Length: ");
    std::size_t left = at == head.npos ? 0 : std::stoul(head.substr(at + 16));
    while (held_.size() < left && receive()) {
    }
    left = std::min(left, held_.size());
    auto body = held_.substr(0, left);
    held_.erase(0, left);
    return {line, body};
  }

  void end_sending() { ::shutdown(fd_, SHUT_WR); }

  /// Closes with RST instead of FIN.
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void shrink_receive_buffer() {
    const int small = 4096;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  void close() {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
  bool ended_ = false;
  std::string held_;
};

/// A server that does to each connection what `script` says, one at a time.
class raw_server {
 public:
  using script = std::function<void(raw_socket& peer, int number)>;

  explicit raw_server(script what) : script_{std::move(what)} {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd_ >= 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    socklen_t size = sizeof at;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    REQUIRE(::listen(fd_, 64) == 0);
    thread_ = std::thread{[this] { run(); }};
  }
  ~raw_server() {
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  raw_server(const raw_server&) = delete;
  raw_server& operator=(const raw_server&) = delete;

  std::uint16_t port() const { return port_; }
  int accepted() const { return accepted_; }

 private:
  void run() {
    while (!stopping_) {
      const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0)
        return;
      raw_socket peer{fd};
      script_(peer, ++accepted_);
    }
  }

  script script_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

}  // namespace troupe::net::testing
