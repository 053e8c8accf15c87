#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/json.hpp"
#include "core/result.hpp"

/// Reading the members of campaigns' records and commands: what is absent or
/// of another type reads as nothing.
namespace troupe::actors {

inline error wrong_campaign(std::string text) {
  return {errc::bad_input, "campaign: " + std::move(text)};
}

inline std::string member_text(const json::object& from,
                               std::string_view name) {
  const auto* found = from.if_contains(name);
  return found && found->is_string() ? std::string{found->as_string()}
                                     : std::string{};
}

inline std::int64_t number_said(const json::object& from,
                                std::string_view name) {
  const auto* found = from.if_contains(name);
  boost::system::error_code bad;
  const auto n = found ? found->to_number<std::int64_t>(bad) : 0;
  return bad ? 0 : n;
}

inline std::uint64_t count_said(const json::object& from,
                                std::string_view name) {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(number_said(from, name), 0));
}

inline bool flag_said(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  return found && found->is_bool() && found->as_bool();
}

}  // namespace troupe::actors
