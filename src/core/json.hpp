#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace troupe {

namespace json = boost::json;

/// Parses one JSON text; nesting is limited to 100, as Telegram's server does.
/// **Errors**: `errc::bad_input` with the offset.
result<json::value> parse_json(std::string_view text);

/// Appends `text` as a JSON string with its quotes. Invalid UTF-8 becomes
/// U+FFFD, so that the output is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

}  // namespace troupe
