#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::http {

/// Beast's string views as the standard's.
template <class Text>
constexpr std::string_view as_view(const Text& text) noexcept {
  return {text.data(), text.size()};
}

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// ASCII case-insensitive, as header names and tokens are.
inline bool iequals(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [](char x, char y) { return to_lower(x) == to_lower(y); });
}

/// True for what may stand in a header's value: no CR, LF or NUL, with which a
/// caller's data could forge headers.
inline bool is_field_value(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return c == '\r' || c == '\n' || c == '\0';
  });
}

/// True for an RFC 9110 token: a method or a header's name.
inline bool is_token(std::string_view text) noexcept {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || marks.find(c) != marks.npos;
  });
}

/// True if `bytes` are the rest of a chunked body that its parser must not be
/// given yet. Beast 1.81 takes four bytes after "0\r\n" for a broken promise
/// of its own, and ends the process. With the next byte it is fine.
template <class Parser>
bool must_wait(const Parser& parser, std::string_view bytes) noexcept {
  return bytes.size() == 4 && bytes.starts_with("0\r\n") &&
         parser.is_header_done() && parser.chunked();
}

inline void append_number(std::string& out, std::size_t n, int base = 10) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, n, base).ptr;
  out.append(digits, end);
}

}  // namespace troupe::http
