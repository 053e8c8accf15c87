#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace troupe::http {

/// True for the content codings that `inflate_body` knows: gzip and deflate.
bool is_inflatable(std::string_view coding) noexcept;

/// Inflates a whole body. `deflate` is taken with a zlib header, as specified,
/// and without one, as some clients send it.
/// **Errors**: `errc::too_large` over `max` bytes, `errc::bad_input` for what
/// is damaged, truncated or followed by something else.
result<std::string> inflate_body(std::string_view coding, std::string_view data,
                                 std::size_t max);

}  // namespace troupe::http
