#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/clock.hpp"
#include "net/lane.hpp"

namespace troupe::net {

/// Connects a socket to the first of several addresses that answers, one after
/// another. Each gets its share of the time and not too much of it: one that
/// swallows packets (often an IPv6 one) must not use up all.
/// Dials once. **Threads**: the socket's lane.
class dialer {
 public:
  /// Gets no error once the socket is connected, non-blocking and without
  /// Nagle's delay, or the error of the last address.
  using callback = std::function<void(const error_code&)>;

  explicit dialer(tcp_socket& socket) noexcept : socket_{socket} {}

  /// @param to in the order to try; none is `host_not_found`, at once
  /// @param until the end of the time for all of them: then `timed_out`
  /// @param done called once, unless stopped; it must hold who owns the dialer
  ///   and the socket. Dropped when the loop ends.
  void start(std::vector<tcp::endpoint> to, mono_time until, callback done);
  /// Ends the attempt that has had its time. To be called every `sweep_every`,
  /// after the end and before the start, too.
  void sweep(mono_time now);
  /// Calls nobody any more. The owner closes the socket.
  void stop() noexcept;
  /// The address that was tried last.
  const tcp::endpoint& at() const { return addresses_[tried_ - 1]; }

 private:
  void try_next(const error_code& last, callback done);
  void on_connected(error_code ec, callback done);
  void close() noexcept;

  tcp_socket& socket_;
  std::vector<tcp::endpoint> addresses_;
  std::size_t tried_ = 0;
  mono_time until_ = mono_time::max();
  mono_time address_until_ = mono_time::max();
  bool given_up_ = false;  ///< the present address
  bool stopped_ = false;
};

}  // namespace troupe::net
