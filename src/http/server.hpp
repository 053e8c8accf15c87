#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "http/http.hpp"
#include "net/loop.hpp"

namespace troupe::http {

struct server_options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;              ///< 0: any free one, see `port()`
  std::size_t max_header = 16 * 1024;  ///< bytes; over it: 431
  std::size_t max_body = 4 << 20;      ///< bytes; over it: 413
  /// Over it the one that idles longest (on the same thread) makes room; if
  /// none idles, the new one is accepted and closed.
  std::size_t max_connections = 2048;
  /// From the first byte (of a new connection: from its acceptance, with the
  /// TLS handshake) to the end of the header.
  milliseconds header_timeout{10'000};
  milliseconds body_timeout{30'000};  ///< from end of header to end of body
  milliseconds idle_timeout{90'000};  ///< keep-alive without a request
  /// For a slow reader: of a whole answer, or of what a stream has to say.
  milliseconds write_timeout{30'000};
  /// From the whole request to its answer; over it 503 with Retry-After is
  /// sent, and the handler's own answer goes nowhere. 0: no limit.
  milliseconds answer_timeout{0};
  /// Closes after a handler's 401, 403 or 404: strangers get no second guess.
  bool close_refused = false;
  std::string certificate_file;  ///< PEM chain; empty: plain HTTP
  std::string key_file;          ///< PEM
  /// Called with what was received before it is given up (400, 413, 431, 408,
  /// 415, 501; what `on_header` said; 0 for a failed TLS handshake, 503 for a
  /// connection that found no room, 504 for an answer that did not come in
  /// time): for a count and a log line. Runs on the loop's threads.
  std::function<void(unsigned status)> on_reject;
  /// Looks at a request as soon as its header is complete, before any of its
  /// body is taken and before "100 Continue". An answer refuses the request,
  /// and the connection is closed after it. Runs on the loop's threads: it must
  /// neither block nor throw.
  std::function<std::optional<response>(const request& head)> on_header;
};

/// Answers one request, once, from any thread. Copyable; all copies are one.
/// Answering a request whose peer is gone does nothing. If the last copy goes
/// without an answer, 500 is sent.
class responder {
 public:
  struct exchange;
  explicit responder(std::shared_ptr<exchange> x) : exchange_{std::move(x)} {}
  void operator()(response answer) const;
  /// Closes the connection instead of answering.
  void drop() const;
  /// Server-sent events and other endless bodies: sends the header (with
  /// chunked encoding) and keeps the connection. False from `send_chunk` once
  /// the peer is gone or more than 1 MiB waits unsent.
  void start_stream(response header) const;
  bool send_chunk(std::string data) const;
  void end_stream() const;

 private:
  std::shared_ptr<exchange> exchange_;
};

/// Takes one request. Runs on one of the loop's threads: it must not block.
/// `answer` may be called later from any thread. If it throws, 500 is sent.
/// Without `answer_timeout` an answer has no deadline: whoever holds the
/// responder has one.
using handler = std::function<void(request&& what, responder answer)>;

/// An HTTP/1.1 server with keep-alive, limits and optional TLS (1.2+).
/// HEAD and Expect: 100-continue are handled; pipelined requests are handed on
/// one at a time and answered in order; gzip and deflate request bodies are
/// taken up to `max_body`.
class server {
 public:
  /// **Errors**: `errc::conflict` for an address in use, `errc::bad_input` for
  /// an address, certificate or key that can't be used.
  static result<std::unique_ptr<server>> listen(net::loop& on,
                                                server_options how,
                                                handler take);
  ~server();

  std::uint16_t port() const noexcept;
  std::size_t connections() const noexcept;

  /// Stops accepting connections; requests in progress are answered with
  /// `Connection: close`, idle connections are closed. `connections()` is 0
  /// when all is done. **Threads**: any; does not wait for answers.
  void drain();
  /// Closes everything. Idempotent; the destructor calls it. No handler runs
  /// after it returned (from outside the loop).
  void close();

  struct impl;

 private:
  explicit server(std::shared_ptr<impl> p);
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::http
