#pragma once

#include <memory>

#include "app/stats_pages.hpp"
#include "http/server.hpp"

namespace troupe::app {

/// `stats_pages` behind a socket. **Lifetime**: the loop, and what the pages
/// need, outlive it; destroy it before the node.
class stats_server {
 public:
  /// **Errors**: as `http::server::listen`.
  static result<std::unique_ptr<stats_server>> listen(
      net::loop& on, http::server_options where, pages_options how,
      store::backend& store, metrics::registry& from);

  stats_pages& pages() noexcept { return *pages_; }
  std::uint16_t port() const noexcept { return server_->port(); }
  void close() { server_->close(); }

 private:
  stats_server() = default;
  std::shared_ptr<stats_pages> pages_;
  std::unique_ptr<http::server> server_;
};

}  // namespace troupe::app
