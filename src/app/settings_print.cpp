#include "app/settings.hpp"

namespace troupe::app {
namespace {

constexpr std::size_t width = 78;

void append_comment(std::string& out, std::string_view text) {
  std::string line = "#";
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (line.size() + 1 + word.size() > width && line.size() > 1) {
      out += line + '\n';
      line = "#";
    }
    line += ' ';
    line += word;
    text = space == std::string_view::npos ? std::string_view{}
                                           : text.substr(space + 1);
  }
  out += line + '\n';
}

/// A TOML basic string.
std::string toml_string(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string written(const settings& from, const key_spec& key) {
  if (const auto* n = std::get_if<std::int64_t settings::*>(&key.slot)) {
    return std::to_string(from.**n);
  }
  if (key.form == shape::ratio)
    return from.*std::get<std::string settings::*>(key.slot);
  if (key.name == "store.url")
    return toml_string(shown_store(from.store_url));
  return toml_string(from.*std::get<std::string settings::*>(key.slot));
}

void append_key(std::string& out, const loaded& what, const key_spec& key,
                std::string_view bare) {
  out += '\n';
  append_comment(out, key.help);
  if (key.secret) {
    append_comment(out, "Secret: only as " + environment_of(key) +
                            ", or in a file that " + std::string{bare} +
                            "_file names.");
    return;
  }
  std::string line = type_of(key);
  line += "; " + flag_of(key) + ", " + environment_of(key);
  append_comment(out, line);
  const bool given = what.from.contains(std::string{key.name});
  if (!given)
    out += '#';
  out += std::string{bare} + " = " + written(what.values, key) + '\n';
}

}  // namespace

std::string print_config(const loaded& what) {
  std::string out;
  append_comment(out,
                 "Configuration of a Troupe bot. Every key is also a flag "
                 "and an environment variable; flags beat the "
                 "environment, which beats this file. What is commented "
                 "out shows its default.");
  std::string_view section;
  for (const key_spec& key : keys()) {
    const std::size_t dot = key.name.find('.');
    const std::string_view group = key.name.substr(0, dot);
    if (group != section) {
      section = group;
      out += "\n[" + std::string{section} + "]\n";
    }
    append_key(out, what, key, key.name.substr(dot + 1));
  }
  return out;
}

}  // namespace troupe::app
