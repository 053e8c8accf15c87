#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {

/// Header fields in order of appearance. Few, so a vector beats a map.
class fields {
 public:
  void add(std::string name, std::string value) {
    list_.emplace_back(std::move(name), std::move(value));
  }
  /// The first value of `name` (case-insensitive), or an empty view.
  std::string_view find(std::string_view name) const noexcept;
  bool has(std::string_view name) const noexcept;
  auto begin() const noexcept { return list_.begin(); }
  auto end() const noexcept { return list_.end(); }
  bool empty() const noexcept { return list_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

/// A request as the server hands it on, or as the client sends it.
struct request {
  std::string method = "GET";
  std::string target = "/";  ///< path and query, as sent
  fields headers;            ///< without Host, Content-Length, Connection
  std::string body;
  std::string peer;  ///< server: the caller's address, for logs

  /// The target up to '?'.
  std::string_view path() const noexcept;
  /// The target after '?', or empty.
  std::string_view query() const noexcept;
};

struct response {
  unsigned status = 200;
  fields headers;
  std::string body;
  std::string type = "application/json";  ///< Content-Type; empty: none
};

}  // namespace troupe::http
