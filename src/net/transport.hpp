#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl.hpp>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "net/lane.hpp"

namespace troupe::net {

/// A TCP socket, with or without TLS on it. One branch per operation instead of
/// one class per kind of stream. Heavy to compile: for private headers.
class transport {
 public:
  explicit transport(tcp_socket socket) : socket_{std::move(socket)} {}
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;

  tcp_socket& socket() noexcept { return socket_; }
  bool secure() const noexcept { return tls_.has_value(); }
  SSL* native() noexcept { return tls_->native_handle(); }

  /// Puts TLS on the socket; `handshake` is next.
  void secure_with(asio::ssl::context& how) { tls_.emplace(socket_, how); }

  /// Back to a socket that was never opened. Nothing may be pending.
  void reset() {
    tls_.reset();
    close();
  }

  template <class Handler>
  void handshake(asio::ssl::stream_base::handshake_type side, Handler&& done) {
    tls_->async_handshake(side, std::forward<Handler>(done));
  }

  template <class Handler>
  void read(asio::mutable_buffer into, Handler&& done) {
    if (tls_)
      tls_->async_read_some(into, std::forward<Handler>(done));
    else
      socket_.async_read_some(into, std::forward<Handler>(done));
  }

  /// Writes some of `from`; `done` gets how much.
  template <class Handler>
  void write(asio::const_buffer from, Handler&& done) {
    if (tls_)
      tls_->async_write_some(from, std::forward<Handler>(done));
    else
      socket_.async_write_some(from, std::forward<Handler>(done));
  }

  /// Writes what fits at once, with one system call; without TLS only. Most
  /// messages fit, and so never visit the event queue.
  std::size_t write_now(const std::array<asio::const_buffer, 2>& from,
                        error_code& ec) {
    const auto n = socket_.write_some(from, ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again)
      ec = {};
    return n;
  }

  template <class Handler>
  void say_goodbye(Handler&& done) {
    tls_->async_shutdown(std::forward<Handler>(done));
  }

  /// Closes and drops what the kernel has not sent yet.
  void discard() noexcept {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
    close();
  }

  void close() noexcept {
    error_code ignored;  // a socket is gone after close, whatever it says
    socket_.close(ignored);
  }

 private:
  tcp_socket socket_;
  std::optional<asio::ssl::stream<tcp_socket&>> tls_;
};

}  // namespace troupe::net
