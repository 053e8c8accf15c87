#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "troupe/detail/turn.hpp"

/// Requests of `ctx->lock` (docs/adr/0015): between the turn that asks and the
/// one that is told, each is a durable timer of the runtime's own.
namespace troupe::detail {

/// Timers whose names begin so are the runtime's.
inline constexpr char own_timer = ':';

struct lock_request {
  std::string name;
  std::string holder;  ///< what the store knows the chat by
  std::int64_t ttl_ms = 0;
  std::int64_t until_ms = 0;  ///< wall time; then it is denied
  unsigned tries = 0;         ///< that came to nothing
  bool kept = false;          ///< the chat had it when it asked
};

/// The name of the timer that stands for a request.
std::string timer_of_lock(std::string_view name);

/// True if the event is a request for a lock.
bool asks_for_lock(const turn_event& what) noexcept;

/// **Errors**: `errc::corrupt` if the timer is not what `timer_for` wrote.
result<lock_request> lock_request_of(const turn_event& what);

wanted_timer timer_for(const lock_request& what, std::int64_t due_ms);

/// The lock's name in the store.
std::string stored_lock(std::string_view name);

/// When to try again after one more try at `now_ms` came to nothing: 50 ms
/// later, then twice as long each time up to 1 s, +-25 % by `random`, and not
/// after the request's end.
std::int64_t next_try(const lock_request& what, std::int64_t now_ms,
                      std::uint64_t random) noexcept;

}  // namespace troupe::detail
