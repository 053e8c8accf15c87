#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace troupe::app {

/// One `key = value` of a TOML file, its tables flattened into the name.
struct file_value {
  enum class type : std::uint8_t { text, integer, real, other, empty_section };
  std::string name;  ///< "limits.margin_ms"
  unsigned line = 0;
  type what = type::other;
  std::string text;  ///< the value; for `other`, its type's name
};

/// Reads a TOML file.
/// **Errors**: `errc::bad_input`: can't be read, over 1 MiB, or not TOML; the
/// context starts with the file and, where there is one, the line.
result<std::vector<file_value>> read_toml(const std::string& file);

/// A whole small file.
/// **Errors**: `errc::bad_input` if it can't be read or has over `most` bytes.
result<std::string> read_small_file(const std::string& file, std::size_t most);

}  // namespace troupe::app
