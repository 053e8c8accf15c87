#pragma once

#include <cstdint>
#include <string>

#include "core/json.hpp"

/// What another node said of itself. It may be of another version, or broken:
/// what is odd in it is as if it were not there.
namespace troupe::actors {

/// @returns empty if it is missing or no text of at most `longest` bytes
inline std::string told_text(const json::object& from, const char* name,
                             std::size_t longest) {
  auto value = from.if_contains(name);
  auto text = value ? value->if_string() : nullptr;
  if (!text || text->size() > longest)
    return {};
  return {text->data(), text->size()};
}

/// @returns `otherwise` if it is missing or no integer from 0 to `most`
inline std::int64_t told_number(const json::object& from, const char* name,
                                std::int64_t most, std::int64_t otherwise) {
  auto value = from.if_contains(name);
  auto n = value ? value->if_int64() : nullptr;
  return n && *n >= 0 && *n <= most ? *n : otherwise;
}

inline bool told_yes(const json::object& from, const char* name) {
  auto value = from.if_contains(name);
  auto yes = value ? value->if_bool() : nullptr;
  return yes && *yes;
}

}  // namespace troupe::actors
