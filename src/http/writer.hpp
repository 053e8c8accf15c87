#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "http/http.hpp"

namespace troupe::http {

/// Up to here, copying a body behind its head is cheaper than a second buffer
/// (and, with TLS, than a second record).
constexpr std::size_t flat_body = 16 * 1024;

/// How the head of an answer is framed.
struct framing {
  bool keep_alive = true;
  bool http10 = false;   ///< the caller speaks HTTP/1.0
  bool chunked = false;  ///< no Content-Length: a stream
};

/// The reason phrase of a status, e.g. `Not Found`.
std::string_view reason_phrase(unsigned status) noexcept;

/// True if the status never comes with a body: 1xx, 204, 304.
bool is_bodiless(unsigned status) noexcept;

/// False if a header or the type can't be sent: no token, or a line break.
bool is_sendable(const response& answer) noexcept;

/// Appends the status line and headers of `answer`, which is sendable, with the
/// length of its body. `date` is a ready `Date` value.
void append_head(std::string& out, const response& answer, framing how,
                 std::string_view date);

/// Appends one chunk of a chunked body. Empty data is no chunk.
void append_chunk(std::string& out, std::string_view data);

/// Checks what can't be sent. **Errors**: `errc::bad_input`.
result<void> check_sendable(const request& what);

/// Appends the request line and headers of `what`, which is sendable.
/// @param host the value of the Host header
void append_head(std::string& out, const request& what, std::string_view prefix,
                 std::string_view host);

/// The value of a Date header, made once a second. **Threads**: one.
class date_text {
 public:
  std::string_view at(std::time_t now);

 private:
  std::time_t made_ = -1;
  char text_[32] = {};
};

}  // namespace troupe::http
