#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/system/process.hpp"

namespace troupe::system_test {

/// A HTTP answer; status 0 if there was none.
struct reply {
  int status = 0;
  std::string head;
  std::string body;

  /// A header's value; empty if it is not there.
  std::string header(const std::string& name) const;
};

/// A blocking connection on loopback that sends any bytes, decent or not.
/// Every step is bounded.
class wire {
 public:
  /// Not `open` afterwards if nobody listens.
  explicit wire(std::uint16_t port);
  ~wire() { close(); }
  wire(wire&& other) noexcept
      : fd_{std::exchange(other.fd_, -1)}, held_{std::move(other.held_)} {}
  wire& operator=(wire&& other) noexcept;

  bool open() const noexcept { return fd_ >= 0; }
  void close();
  /// No more will be sent.
  void shut();
  /// False if the peer has closed.
  bool send(std::string_view bytes);
  reply read(seconds limit = patience);
  /// True once the peer has closed.
  bool ends(seconds limit = patience);

 private:
  bool more(std::chrono::steady_clock::time_point until);
  bool read_chunks(reply& into, std::chrono::steady_clock::time_point until);

  int fd_ = -1;
  std::string held_;
};

using headers = std::vector<std::pair<std::string, std::string>>;

std::string request(const std::string& method, const std::string& path,
                    const std::string& body = {}, const headers& with = {});
/// One request over a connection of its own.
reply ask(std::uint16_t port, const std::string& method,
          const std::string& path, const std::string& body = {},
          const headers& with = {}, seconds limit = patience);

}  // namespace troupe::system_test
