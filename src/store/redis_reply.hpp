#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "store/redis_url.hpp"

namespace troupe::store::redis {

/// What Redis answers. It owns its text. An error inside a list is an element
/// like any other.
struct reply {
  enum class kind : std::uint8_t { nil, integer, text, status, error, list };

  kind type = kind::nil;
  std::int64_t number = 0;   ///< `integer`
  std::string text;          ///< `text`, `status`, `error`
  std::vector<reply> items;  ///< `list`

  bool is_nil() const noexcept { return type == kind::nil; }
  bool is_error() const noexcept { return type == kind::error; }
  /// `+OK`
  bool is_ok() const noexcept { return type == kind::status && text == "OK"; }
};

/// Takes bytes, gives replies (RESP2, by hiredis). Sans I/O.
class reply_reader {
 public:
  /// @param most_bytes of one reply that is still incomplete
  explicit reply_reader(std::size_t most_bytes);
  ~reply_reader();
  reply_reader(const reply_reader&) = delete;
  reply_reader& operator=(const reply_reader&) = delete;

  /// Adds what was read. **Cost**: one copy.
  void feed(std::string_view bytes);
  /// The next complete reply, or nothing yet.
  /// **Errors**: `errc::unavailable` if this is no RESP2 or nests deeper than
  /// seven lists; `errc::too_large`. The stream is of no use then: `reset`.
  result<std::optional<reply>> next();
  /// Forgets what it was fed: a new stream begins.
  void reset();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// What an error reply means for the command that got it.
struct verdict {
  enum class kind : std::uint8_t {
    final,      ///< it is the answer; `code` says how to report it
    no_script,  ///< nothing was done: send the script's text
    pause,      ///< nothing was done: again a little later
    relocate,   ///< nothing was done: this server is not the primary (any more)
    moved,      ///< nothing was done: `slot` is served at `at` now
    ask,        ///< nothing was done: this once ask `at`
    try_again,  ///< nothing was done: the slot's keys are on their way
  };

  kind what = kind::final;
  errc code = errc::internal;
  std::uint16_t slot = 0;
  address at{};  ///< an empty host: the host that said so
};

/// Judges the text of an error reply.
verdict judge(std::string_view text);

}  // namespace troupe::store::redis
