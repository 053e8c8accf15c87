#pragma once

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "http/server.hpp"
#include "http/writer.hpp"
#include "net/lane.hpp"

namespace troupe::http {

namespace asio = boost::asio;
using boost::system::error_code;

class server_connection;

/// What all lanes of a server share.
struct server_core {
  server_options how;
  handler take;
  std::optional<asio::ssl::context> tls;
  std::atomic<std::size_t> open{0};  ///< connections, on all lanes

  void rejected(unsigned status) const {
    if (how.on_reject)
      how.on_reject(status);
  }
};

/// A server's connections on one lane. **Threads**: that lane's.
class server_part : public std::enable_shared_from_this<server_part> {
 public:
  server_part(std::shared_ptr<net::lane> on, std::shared_ptr<server_core> core);

  /// Begins to look at deadlines: ten times a second over all connections, for
  /// a timer per operation costs more than the operation.
  void start();
  /// Takes a socket that counts in `core->open` already.
  /// @param full another connection must make room for it.
  void adopt(net::tcp_socket socket, bool full);
  void forget(server_connection& gone) noexcept;
  void drain();
  void close();

  bool draining() const noexcept { return draining_; }
  server_core& core() noexcept { return *core_; }
  const std::shared_ptr<net::lane>& on() const noexcept { return on_; }
  std::string_view date();

 private:
  void sweep();
  /// Closes the connection that idles longest; false if none does.
  bool make_room();

  std::shared_ptr<net::lane> on_;
  std::shared_ptr<server_core> core_;
  std::vector<std::shared_ptr<server_connection>> connections_;
  std::optional<net::steady_timer> timer_;
  date_text date_;
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace troupe::http
