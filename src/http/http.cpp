#include "http/http.hpp"

#include <algorithm>

#include "http/text.hpp"

namespace troupe::http {

std::string_view fields::find(std::string_view name) const noexcept {
  for (const auto& [key, value] : list_)
    if (iequals(key, name))
      return value;
  return {};
}

bool fields::has(std::string_view name) const noexcept {
  return std::any_of(list_.begin(), list_.end(), [&](const auto& entry) {
    return iequals(entry.first, name);
  });
}

std::string_view request::path() const noexcept {
  return std::string_view{target}.substr(0, target.find('?'));
}

std::string_view request::query() const noexcept {
  const auto mark = target.find('?');
  if (mark == std::string::npos)
    return {};
  return std::string_view{target}.substr(mark + 1);
}

}  // namespace troupe::http
