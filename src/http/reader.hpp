#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "http/http.hpp"

namespace troupe::http {

/// Reads requests out of bytes, sans I/O. Strict where a lenient reading lets
/// requests be smuggled: bare LF, a second Content-Length, Content-Length
/// beside Transfer-Encoding and a missing or second Host are refused.
class request_reader {
 public:
  struct limits {
    std::size_t header = 16 * 1024;
    std::size_t body = 4 << 20;  ///< also of what a compressed body inflates to
  };
  enum class status { need_more, done, refused };
  /// Asked once per request, when its header is complete; false refuses it.
  using admission = std::function<bool(const request& head)>;

  explicit request_reader(limits how, admission admit = {});
  ~request_reader();

  /// Takes bytes that were not consumed before, followed by new ones.
  /// @returns how many it consumed; the rest must be given again.
  std::size_t feed(std::string_view bytes);

  status now() const noexcept;
  /// Why it is refused: 400, 413, 415, 431 or 501; 403 if not admitted.
  unsigned refusal() const noexcept;
  /// True once the header is complete.
  bool in_body() const noexcept;
  /// True if the peer waits for "100 Continue".
  bool expects_continue() const noexcept;
  bool keep_alive() const noexcept;
  bool is_head() const noexcept;
  bool is_http10() const noexcept;

  /// The request, once `done`; then the next one is read.
  request take();

 private:
  class parser;
  limits limits_;
  admission admit_;
  std::unique_ptr<parser> parser_;
};

/// Reads one response after the other out of bytes, sans I/O. Interim (1xx)
/// responses are skipped.
class response_reader {
 public:
  struct limits {
    std::size_t header = 64 * 1024;
    std::size_t body = 64 << 20;
  };
  enum class status { need_more, done, failed };

  explicit response_reader(limits how);
  ~response_reader();

  /// Starts over, for the answer to a request.
  void expect(bool to_head);
  /// As in `request_reader`.
  std::size_t feed(std::string_view bytes);
  /// The peer has closed in good order: ends a body without a length.
  void feed_end();

  status now() const noexcept;
  /// Why it failed: `too_large` or `unknown_outcome`.
  const error& reason() const noexcept;
  /// True once a byte of an answer has been seen.
  bool started() const noexcept;
  bool keep_alive() const noexcept;
  response take();

 private:
  class parser;
  void classify(std::string_view why);

  limits limits_;
  bool to_head_ = false;
  bool started_ = false;
  status now_ = status::need_more;
  error reason_;
  std::unique_ptr<parser> parser_;
};

}  // namespace troupe::http
