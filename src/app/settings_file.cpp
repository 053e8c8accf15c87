#include "app/settings_file.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <sstream>
#include <system_error>

namespace troupe::app {
namespace {

void flatten(const toml::table& from, const std::string& prefix,
             std::vector<file_value>& out) {
  for (const auto& [key, node] : from) {
    file_value one;
    one.name = prefix + std::string{key.str()};
    one.line = node.source().begin.line;
    if (const toml::table* inner = node.as_table()) {
      if (inner->empty()) {
        one.what = file_value::type::empty_section;
        out.push_back(std::move(one));
      } else {
        flatten(*inner, one.name + '.', out);
      }
      continue;
    }
    if (const auto* text = node.as_string()) {
      one.what = file_value::type::text;
      one.text = text->get();
    } else if (const auto* number = node.as_integer()) {
      one.what = file_value::type::integer;
      one.text = std::to_string(number->get());
    } else if (const auto* real = node.as_floating_point()) {
      one.what = file_value::type::real;
      char digits[32];
      const auto end = std::to_chars(digits, std::end(digits), real->get());
      one.text.assign(digits, end.ptr);
    } else {
      std::ostringstream name;
      name << node.type();
      one.text = name.str();
    }
    out.push_back(std::move(one));
  }
}

}  // namespace

result<std::string> read_small_file(const std::string& file, std::size_t most) {
  const auto failed = [&](int code) {
    return error{errc::bad_input, file + ": can't be read: " +
                                      std::generic_category().message(code)};
  };
  errno = 0;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> in{
      std::fopen(file.c_str(), "rbe"), &std::fclose};
  if (!in)
    return failed(errno);
  std::string text(most + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), in.get()));
  if (std::ferror(in.get()) != 0)
    return failed(errno);
  if (text.size() > most) {
    return error{errc::bad_input,
                 file + ": is larger than " + std::to_string(most) + " bytes"};
  }
  return text;
}

result<std::vector<file_value>> read_toml(const std::string& file) {
  auto text = read_small_file(file, 1 << 20);
  if (!text)
    return text.error();
  std::vector<file_value> out;
  try {
    flatten(toml::parse(*text, file), "", out);
  } catch (const toml::parse_error& e) {
    return error{errc::bad_input, file + ':' +
                                      std::to_string(e.source().begin.line) +
                                      ": " + std::string{e.description()}};
  }
  std::ranges::stable_sort(out, {}, &file_value::line);
  return out;
}

}  // namespace troupe::app
