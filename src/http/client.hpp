#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "http/http.hpp"
#include "net/loop.hpp"

namespace troupe::http {

/// `https://host[:port][/prefix]`, taken apart.
struct origin {
  bool tls = false;
  std::string host;
  std::uint16_t port = 80;
  std::string prefix;  ///< path prefix without trailing '/'
};

/// **Errors**: `errc::bad_input`; the text names what is wrong, never the path.
result<origin> parse_origin(std::string_view url);

/// Why a call got no response.
struct failure {
  error what;
  /// True if any byte of the request may have reached the peer: the call may
  /// have been carried out. False: certainly not, a repeat is safe.
  bool maybe_sent = false;
};

struct client_options {
  std::size_t max_connections = 1024;  ///< per client; calls over it wait
  std::size_t max_waiting = 100'000;   ///< calls; over it: `errc::unavailable`
  /// For a connection: DNS, TCP and TLS together, and the wait for a free one.
  milliseconds connect_timeout{10'000};
  milliseconds idle_timeout{30'000};  ///< a pooled connection is closed after
  std::size_t max_body = 64 << 20;    ///< bytes of a response
  std::string ca_file;                ///< PEM; empty: the system's
  bool verify = true;                 ///< false only for tests
};

/// An HTTP/1.1 client for one origin, with a keep-alive pool.
/// A pooled connection that the peer closed before any byte of an answer is
/// retried once on a fresh one only if no byte of the request was written or
/// the method is GET/HEAD; otherwise it is a failure with `maybe_sent`.
/// **Threads**: any. A client lives on one of the loop's threads, and its
/// callbacks run there: they must not block and must not throw.
class client {
 public:
  using answer = std::function<void(boost::system::result<response, failure>)>;

  /// **Errors**: `errc::bad_input` for a CA file that can't be read.
  static result<std::unique_ptr<client>> make(net::loop& on, origin to,
                                              client_options how = {});
  ~client();

  /// Sends `what` (its target is prefixed with the origin's prefix) and calls
  /// `done` once, within `timeout` of the call's start on a connection plus
  /// `connect_timeout`.
  /// **Errors**: `unavailable` (no connection, too many calls: not sent),
  /// `timed_out`, `unknown_outcome` (the connection or the answer broke),
  /// `too_large` (the answer), `bad_input` (a request that can't be written:
  /// not sent), `cancelled` (closed).
  /// @param begin_by what finds no connection by then is not sent any more, but
  ///   fails with `timed_out`: for callers who account for when calls arrive.
  /// **Threads**: any. **Order**: none among calls.
  void send(request what, milliseconds timeout, answer done,
            mono_time begin_by = mono_time::max());

  /// Connections open now, calls in flight, calls waiting for a connection.
  struct load {
    std::size_t connections = 0, in_flight = 0, waiting = 0;
  };
  load now() const noexcept;

  /// Fails what waits and what is in flight (`errc::cancelled`) and closes.
  /// No callback runs after it returned (from outside the loop).
  void close();

  struct impl;

 private:
  explicit client(std::shared_ptr<impl> p);
  std::shared_ptr<impl> impl_;
};

/// Found by `result<response, failure>::value()` when there is no response.
[[noreturn]] inline void throw_exception_from_error(
    const failure& f, const boost::source_location&) {
  throw bad_result{f.what};
}

}  // namespace troupe::http
