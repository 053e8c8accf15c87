#include "net/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

namespace troupe::net {

namespace {

using answer = std::pair<std::vector<tcp::endpoint>, std::string>;

answer look_up(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (rc != 0)
    return {{},
            rc == EAI_SYSTEM ? std::generic_category().message(errno)
                             : ::gai_strerror(rc)};
  answer out;
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    tcp::endpoint at;
    if (each->ai_addrlen > at.capacity())
      continue;
    std::memcpy(at.data(), each->ai_addr, each->ai_addrlen);
    at.resize(each->ai_addrlen);
    out.first.push_back(at);
  }
  ::freeaddrinfo(found);
  if (out.first.empty())
    out.second = "it has no address";
  return out;
}

}  // namespace

void resolve(
    std::shared_ptr<lane> on, const std::string& host, std::uint16_t port,
    std::function<void(std::vector<tcp::endpoint>, std::string why)> done) {
  auto work = [on, host, port = std::to_string(port), done] {
    auto [found, why] = look_up(host, port);
    on->post([done, found = std::move(found), why = std::move(why)] {
      done(found, why);
    });
  };
  try {
    std::thread{std::move(work)}.detach();
  } catch (const std::system_error& e) {  // no thread to be had
    on->post([done = std::move(done), why = std::string{e.what()}] {
      done({}, why);
    });
  }
}

}  // namespace troupe::net
