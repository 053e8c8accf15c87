#pragma once

#include <optional>
#include <string>

#include "http/http.hpp"

namespace troupe::actors {

/// What the webhook listener lets in.
struct webhook_gate {
  std::string path = "/webhook";
  std::string secret;  ///< empty: not asked for

  /// The answer for a request that may not pass, or nothing if it may.
  ///
  /// The secret is taken from `X-Telegram-Bot-Api-Secret-Token`, or, where a
  /// proxy can't pass headers, from the path (`/webhook/<secret>`); compared
  /// in constant time. 404: another path; 405: not POST; 401: no secret; 403:
  /// a wrong one.
  std::optional<http::response> refuse(const http::request& what) const;
};

/// `{"ok":false,"error_code":...,"description":"..."}`, Telegram's own shape.
http::response error_page(unsigned status, std::string_view text);

/// 503 with Retry-After: Telegram repeats the update after so many seconds.
http::response come_back(unsigned seconds, std::string_view text);

}  // namespace troupe::actors
