#include "app/top/figures.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace troupe::app::top {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::string printed(const char* format, double value, const char* unit) {
  char out[64];
  std::snprintf(out, sizeof out, format, value);
  return std::string{out} + unit;
}

}  // namespace

const json::value* find(const json::object& in,
                        std::initializer_list<std::string_view> path) {
  const json::object* at = &in;
  const json::value* found = nullptr;
  for (const auto name : path) {
    found = at != nullptr ? at->if_contains(name) : nullptr;
    if (found == nullptr)
      return nullptr;
    at = found->if_object();
  }
  return found;
}

std::optional<double> number(const json::object& in,
                             std::initializer_list<std::string_view> path) {
  const auto at = find(in, path);
  if (at == nullptr || !at->is_number())
    return std::nullopt;
  return at->to_number<double>();
}

std::string text(const json::object& in,
                 std::initializer_list<std::string_view> path) {
  const auto at = find(in, path);
  if (at == nullptr)
    return "-";
  if (at->is_string())
    return harmless({at->get_string().data(), at->get_string().size()});
  return at->is_number() ? json::serialize(*at) : "-";
}

const json::array& list(const json::object& in,
                        std::initializer_list<std::string_view> path) {
  static const json::array none;
  const auto at = find(in, path);
  return at != nullptr && at->is_array() ? at->get_array() : none;
}

std::string harmless(std::string_view from) {
  std::string out;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto c = static_cast<unsigned char>(from[i]);
    if (c < 0x20 || c == 0x7F) {
      out += '?';
    } else if (c == 0xC2 && i + 1 < from.size() &&
               static_cast<unsigned char>(from[i + 1]) < 0xA0) {
      out += '?';  // U+0080 to U+009F are commands to some terminals
      ++i;
    } else {
      out += from[i];
    }
  }
  return out;
}

std::string as_count(std::optional<double> n) {
  if (!n)
    return "-";
  if (*n >= 1e6)
    return printed("%.2f", *n / 1e6, "M");
  if (*n >= 1e5)
    return printed("%.0f", *n / 1e3, "k");
  return printed(*n < 10 && *n != std::floor(*n) ? "%.1f" : "%.0f", *n, "");
}

std::string as_ms(std::optional<double> n) {
  if (!n)
    return "-";
  if (*n >= 1000)
    return printed(*n >= 10'000 ? "%.0f" : "%.1f", *n / 1000, " s");
  return printed(*n >= 10 || *n == 0 ? "%.0f" : "%.1f", *n, " ms");
}

std::string as_span(std::optional<double> seconds) {
  if (!seconds || *seconds < 0 || *seconds > 1e12)
    return "-";
  const auto s = static_cast<long long>(*seconds);
  const auto two = [](long long big, const char* a, long long small,
                      const char* b) {
    return std::to_string(big) + a + std::to_string(small) + b;
  };
  if (s < 60)
    return std::to_string(s) + "s";
  if (s < 3'600)
    return two(s / 60, "m", s % 60, "s");
  if (s < 86'400)
    return two(s / 3'600, "h", s % 3'600 / 60, "m");
  return two(s / 86'400, "d", s % 86'400 / 3'600, "h");
}

std::string as_bytes(std::optional<double> n) {
  if (!n)
    return "-";
  static constexpr std::array units{" B", " KiB", " MiB", " GiB", " TiB"};
  std::size_t unit = 0;
  double value = *n;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit)
    value /= 1024;
  return printed(value < 10 && unit > 0 ? "%.1f" : "%.0f", value, units[unit]);
}

std::size_t columns_of(std::string_view line) {
  std::size_t n = 0;
  for (const char c : line)
    n += begins_character(c) ? 1 : 0;
  return n;
}

std::string cut(std::string_view line, std::size_t columns) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (begins_character(line[i]) && ++n > columns)
      return std::string{line.substr(0, i)};
  }
  return std::string{line};
}

}  // namespace troupe::app::top
