#include "tests/system/wire.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "tests/support/catch.hpp"

namespace troupe::system_test {

using std::chrono::steady_clock;

std::string reply::header(const std::string& name) const {
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos) {
    at += 2;
    const std::size_t end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (colon == name.size() &&
        ::strncasecmp(line.data(), name.data(), colon) == 0) {
      const std::size_t value = line.find_first_not_of(' ', colon + 1);
      return value == std::string::npos ? std::string{} : line.substr(value);
    }
    at = end;
  }
  return {};
}

wire::wire(std::uint16_t port)
    : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
  REQUIRE(fd_ >= 0);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    close();
}

wire& wire::operator=(wire&& other) noexcept {
  if (this == &other)
    return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  held_ = std::move(other.held_);
  return *this;
}

void wire::close() {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

void wire::shut() {
  ::shutdown(fd_, SHUT_WR);
}

bool wire::send(std::string_view bytes) {
  const auto until = steady_clock::now() + patience;
  while (!bytes.empty() && fd_ >= 0) {
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, 1'000) < 0 && errno != EINTR)
      return false;
    if (steady_clock::now() > until)
      return false;
    const auto n =
        ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return false;
    if (n > 0)
      bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return bytes.empty();
}

bool wire::more(steady_clock::time_point until) {
  while (fd_ >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        until - steady_clock::now());
    if (left.count() <= 0)
      return false;
    pollfd ready{fd_, POLLIN, 0};
    const int n = ::poll(&ready, 1, static_cast<int>(left.count()));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    char bytes[16'384];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0)
      return false;
    held_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  return false;
}

// A server that does not know how long its answer gets sends it in pieces.
bool wire::read_chunks(reply& into, steady_clock::time_point until) {
  for (;;) {
    std::size_t line = std::string::npos;
    while ((line = held_.find("\r\n")) == std::string::npos) {
      if (!more(until))
        return false;
    }
    const auto size =
        static_cast<std::size_t>(std::strtoull(held_.c_str(), nullptr, 16));
    while (held_.size() < line + 2 + size + 2) {
      if (!more(until))
        return false;
    }
    into.body += held_.substr(line + 2, size);
    held_.erase(0, line + 2 + size + 2);
    if (size == 0)
      return true;
  }
}

reply wire::read(seconds limit) {
  const auto until = steady_clock::now() + limit;
  reply out;
  std::size_t end = std::string::npos;
  while ((end = held_.find("\r\n\r\n")) == std::string::npos) {
    if (!more(until))
      return {};
  }
  out.head = held_.substr(0, end + 2);
  held_.erase(0, end + 4);
  const std::size_t space = out.head.find(' ');
  if (space != std::string::npos)
    out.status = std::atoi(out.head.c_str() + space + 1);
  if (out.header("Transfer-Encoding") == "chunked")
    return read_chunks(out, until) ? out : reply{};
  const auto length = static_cast<std::size_t>(
      std::strtoull(out.header("Content-Length").c_str(), nullptr, 10));
  while (held_.size() < length) {
    if (!more(until))
      return {};
  }
  out.body = held_.substr(0, length);
  held_.erase(0, length);
  return out;
}

bool wire::ends(seconds limit) {
  const auto until = steady_clock::now() + limit;
  while (more(until)) {
  }
  return steady_clock::now() <= until;
}

std::string request(const std::string& method, const std::string& path,
                    const std::string& body, const headers& with) {
  std::string out = method + ' ' + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  for (const auto& [name, value] : with)
    out += name + ": " + value + "\r\n";
  if (!body.empty() || method == "POST")
    out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return out + "\r\n" + body;
}

reply ask(std::uint16_t port, const std::string& method,
          const std::string& path, const std::string& body, const headers& with,
          seconds limit) {
  wire to{port};
  if (!to.open() || !to.send(request(method, path, body, with)))
    return {};
  return to.read(limit);
}

}  // namespace troupe::system_test
