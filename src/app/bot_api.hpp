#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "http/client.hpp"
#include "telegram/call.hpp"

namespace troupe::app {

/// Sends a request and waits for its answer: for commands and start-up, which
/// have nothing better to do. Bounded by `timeout` and the client's connect
/// timeout. Not from the client's own loop.
boost::system::result<http::response, http::failure> ask(http::client& through,
                                                         http::request what,
                                                         milliseconds timeout);

/// What a Bot API method answered.
struct api_reply {
  telegram::answer answer;
  std::string result;                    ///< JSON
  std::optional<wall_time> server_time;  ///< from the Date header

  bool sent() const noexcept { return answer.what == telegram::verdict::sent; }
  /// "401: Unauthorized", for people.
  std::string text() const;
};

/// The Bot API, one blocking call at a time. **Threads**: any.
/// **Lifetime**: the client outlives it.
class bot_api {
 public:
  bot_api(http::client& through, std::string token)
      : client_{through}, token_{std::move(token)} {}

  /// **Errors**: what the connection failed with; never Telegram's refusals,
  /// which are in the reply.
  result<api_reply> call(std::string_view method, std::string body,
                         milliseconds timeout,
                         std::string content_type = "application/json") const;

 private:
  http::client& client_;
  std::string token_;
};

/// Reads an HTTP date ("Tue, 24 Nov 2026 04:30:24 GMT").
std::optional<wall_time> parse_http_date(std::string_view text);

}  // namespace troupe::app
