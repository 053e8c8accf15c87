#pragma once

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "http/client.hpp"
#include "http/client_link.hpp"
#include "http/pool.hpp"
#include "net/lane.hpp"

namespace troupe::http {

/// A client's side of its lane. **Threads**: the lane's, but for `enqueue` and
/// the counts.
struct client::impl : std::enable_shared_from_this<impl> {
  using call_ptr = std::unique_ptr<client_call>;
  using pool_type = pool<call_ptr, client_link*>;

  impl(std::shared_ptr<net::lane> where, origin whom, client_options options);

  void start();
  /// **Threads**: any.
  void enqueue(call_ptr call);
  void close();

  // What links report.
  void link_opened(client_link& link, const net::tcp::endpoint& at);
  void link_failed(client_link& link, const error& why);
  void link_freed(client_link& link);
  void link_lost_idle(client_link& link);
  void link_lost_busy(client_link& link);
  /// Queues a call for a second attempt on a fresh connection.
  void again(call_ptr call);
  /// Calls back with a failure.
  static void fail(call_ptr call, error why, bool maybe_sent);
  /// Does what the pool wants done.
  void pump();

  const std::shared_ptr<net::lane> on;
  const origin to;
  const client_options how;
  const std::string where;       ///< host:port, for error texts
  const std::string host_field;  ///< the Host header
  std::optional<asio::ssl::context> tls;

  std::atomic<std::size_t> connections{0}, in_flight{0}, waiting{0};

 private:
  void take_inbox();
  void open_link();
  void resolve(std::shared_ptr<client_link> link);
  void resolved(std::vector<net::tcp::endpoint> found, const std::string& why);
  void put_first(const net::tcp::endpoint& at);
  void forget(client_link& link);
  void sweep();
  void count() noexcept;

  pool_type pool_;
  std::vector<std::shared_ptr<client_link>> links_;
  std::optional<net::steady_timer> timer_;
  std::vector<std::shared_ptr<client_link>> unresolved_;
  std::vector<net::tcp::endpoint> addresses_;
  mono_time addresses_until_{};
  std::optional<net::tcp::endpoint> good_address_;  ///< the last that answered
  bool closed_ = false;

  std::mutex mutex_;
  std::vector<call_ptr> inbox_;
  bool inbox_posted_ = false;
};

}  // namespace troupe::http
