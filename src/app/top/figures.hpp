#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.hpp"

/// Reading `/stats`, which may be another version's, and writing for a person.
namespace troupe::app::top {

/// What is at the end of a path of members; nothing if there is no such thing.
const json::value* find(const json::object& in,
                        std::initializer_list<std::string_view> path);
std::optional<double> number(const json::object& in,
                             std::initializer_list<std::string_view> path);
/// A text without anything that a terminal might obey; "-" if there is none.
std::string text(const json::object& in,
                 std::initializer_list<std::string_view> path);
const json::array& list(const json::object& in,
                        std::initializer_list<std::string_view> path);

/// Makes control characters harmless, those beyond ASCII, too.
std::string harmless(std::string_view from);

std::string as_count(std::optional<double> n);
std::string as_ms(std::optional<double> n);
std::string as_span(std::optional<double> seconds);
std::string as_bytes(std::optional<double> n);

/// Characters, not bytes; each counts as one column.
std::size_t columns_of(std::string_view line);
/// At most so many of them.
std::string cut(std::string_view line, std::size_t columns);

}  // namespace troupe::app::top
