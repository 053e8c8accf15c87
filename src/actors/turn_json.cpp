// The untemplated half of troupe/state.hpp.

#include <boost/json/array.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/json.hpp"
#include "troupe/detail/json_text.hpp"

namespace troupe::detail {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

std::size_t count_replacements(std::string_view text) {
  std::size_t n = 0;
  for (auto at = text.find(replacement); at != text.npos;
       at = text.find(replacement, at + replacement.size()))
    ++n;
  return n;
}

template <class T>
void append_number(std::string& out, T x) {
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, x).ptr;
  out.append(text, end);
}

const char* kind_name(const json::value& v) {
  switch (v.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
  }
  return "unknown";
}

[[noreturn]] void wrong_type(const path& at, const char* wanted,
                             const json::value& got) {
  throw_bad(at, std::string{"must be "} + wanted + ", not " + kind_name(got));
}

// Turns the parser's events into a value, as Boost.JSON's own handler does,
// but reads the text of a fraction itself.
struct exact_handler {
  using error_code = boost::system::error_code;
  using text_view = json::string_view;
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  json::value_stack stack;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_object_end(std::size_t n, error_code&) {
    stack.push_object(n);
    return true;
  }
  bool on_array_end(std::size_t n, error_code&) {
    stack.push_array(n);
    return true;
  }
  bool on_key_part(text_view s, std::size_t, error_code&) {
    stack.push_chars(s);
    return true;
  }
  bool on_key(text_view s, std::size_t, error_code&) {
    stack.push_key(s);
    return true;
  }
  bool on_string_part(text_view s, std::size_t, error_code&) {
    stack.push_chars(s);
    return true;
  }
  bool on_string(text_view s, std::size_t, error_code&) {
    stack.push_string(s);
    return true;
  }
  bool on_number_part(text_view, error_code&) { return true; }
  bool on_int64(std::int64_t n, text_view, error_code&) {
    stack.push_int64(n);
    return true;
  }
  bool on_uint64(std::uint64_t n, text_view, error_code&) {
    stack.push_uint64(n);
    return true;
  }
  bool on_double(double rough, text_view s, error_code& ec) {
    double x = 0;
    auto [end, why] = std::from_chars(s.data(), s.data() + s.size(), x);
    if (why == std::errc::result_out_of_range && std::abs(rough) < 1)
      x = 0;  // nearer to 0 than any double
    else if (why != std::errc{} || end != s.data() + s.size())
      ec = json::make_error_code(json::error::exponent_overflow);
    stack.push_double(x);
    return !ec;
  }
  bool on_bool(bool b, error_code&) {
    stack.push_bool(b);
    return true;
  }
  bool on_null(error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(text_view, error_code&) { return true; }
  bool on_comment(text_view, error_code&) { return true; }
};

struct suffix {
  std::string_view text;
  std::int64_t ns;
};
constexpr suffix suffixes[] = {
    {"ns", 1},
    {"us", 1'000},
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"min", 60'000'000'000},
    {"h", 3'600'000'000'000},
    {"d", 86'400'000'000'000},
};

}  // namespace

std::string path::text() const {
  if (!up_)
    return std::string{name_};
  auto all = up_->text();
  if (element_)
    return all + '[' + std::to_string(index_) + ']';
  return all + '.' + std::string{name_};
}

void throw_bad(const path& at, const std::string& why) {
  throw std::runtime_error{at.text() + ' ' + why};
}

void write_text(std::string& out, std::string_view text, const path& at) {
  auto from = out.size();
  append_json_string(out, text);
  // It replaces bytes that are not UTF-8; a state must not change on its way
  // to the store without anybody knowing.
  auto written = std::string_view{out}.substr(from);
  if (written.find(replacement) != written.npos &&
      count_replacements(written) != count_replacements(text))
    throw_bad(at, "is not UTF-8");
}

void write_signed(std::string& out, std::int64_t x) {
  append_number(out, x);
}
void write_unsigned(std::string& out, std::uint64_t x) {
  append_number(out, x);
}

void write_real(std::string& out, double x, const path& at) {
  if (!std::isfinite(x))
    throw_bad(at, "is not a finite number: JSON has no form for it");
  append_number(out, x);
}

void write_duration(std::string& out, std::int64_t count, unit in) {
  out.push_back('"');
  append_number(out, count);
  out += suffixes[static_cast<std::size_t>(in)].text;
  out.push_back('"');
}

namespace {

// With a point or an exponent, or it would come back as a whole number.
void write_double(std::string& out, double x, const path& at) {
  auto from = out.size();
  write_real(out, x, at);
  if (std::string_view{out}.substr(from).find_first_of(".e") == out.npos)
    out += ".0";
}

}  // namespace

void check_depth(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"')
      quoted = !quoted;
    else if (quoted && c == '\\')
      ++i;
    else if (!quoted && (c == '[' || c == '{') && ++depth > most_depth)
      throw std::length_error{"JSON that is stored nests deeper than " +
                              std::to_string(most_depth) + " levels"};
    else if (!quoted && (c == ']' || c == '}'))
      --depth;
  }
}

void write_value(std::string& out, const json::value& v) {
  static const path nowhere;
  char before = 0;
  switch (v.kind()) {
    case json::kind::null: out += "null"; return;
    case json::kind::bool_: out += v.get_bool() ? "true" : "false"; return;
    case json::kind::int64: append_number(out, v.get_int64()); return;
    case json::kind::uint64: append_number(out, v.get_uint64()); return;
    case json::kind::double_:
      write_double(out, v.get_double(), nowhere);
      return;
    case json::kind::string: append_json_string(out, v.get_string()); return;
    case json::kind::array:
      before = '[';
      for (const auto& x : v.get_array()) {
        out.push_back(before);
        before = ',';
        write_value(out, x);
      }
      out += before == ',' ? "]" : "[]";
      return;
    case json::kind::object:
      before = '{';
      for (const auto& [key, x] : v.get_object()) {
        out.push_back(before);
        before = ',';
        append_json_string(out, key);
        out.push_back(':');
        write_value(out, x);
      }
      out += before == ',' ? "}" : "{}";
      return;
  }
}

std::string_view read_text(const json::value& v, const path& at) {
  if (!v.is_string())
    wrong_type(at, "a string", v);
  return v.get_string();
}

bool read_bool(const json::value& v, const path& at) {
  if (!v.is_bool())
    wrong_type(at, "a boolean", v);
  return v.get_bool();
}

std::int64_t read_signed(const json::value& v, std::int64_t least,
                         std::int64_t most, const path& at) {
  if (!v.is_int64() && !v.is_uint64())
    wrong_type(at, "a whole number", v);
  if (!v.is_int64() || v.get_int64() < least || v.get_int64() > most)
    throw_bad(at, "is out of range");
  return v.get_int64();
}

std::uint64_t read_unsigned(const json::value& v, std::uint64_t most,
                            const path& at) {
  if (!v.is_int64() && !v.is_uint64())
    wrong_type(at, "a whole number", v);
  if (v.is_int64() && v.get_int64() < 0)
    throw_bad(at, "is out of range");
  auto x =
      v.is_int64() ? static_cast<std::uint64_t>(v.get_int64()) : v.get_uint64();
  if (x > most)
    throw_bad(at, "is out of range");
  return x;
}

double read_real(const json::value& v, const path& at) {
  if (v.is_double())
    return v.get_double();
  if (v.is_int64())
    return static_cast<double>(v.get_int64());
  if (v.is_uint64())
    return static_cast<double>(v.get_uint64());
  wrong_type(at, "a number", v);
}

std::int64_t read_count(const json::value& v, unit in, const path& at) {
  auto text = read_text(v, at);
  std::int64_t count = 0;
  auto last = text.data() + text.size();
  auto [end, why] = std::from_chars(text.data(), last, count);
  std::string_view rest{end, static_cast<std::size_t>(last - end)};
  if (why == std::errc{})
    for (const auto& s : suffixes) {
      if (s.text != rest)
        continue;
      auto to = suffixes[static_cast<std::size_t>(in)].ns;
      if (s.ns == to)
        return count;
      constexpr auto most = std::numeric_limits<std::int64_t>::max();
      if (count > most / s.ns || count < -(most / s.ns))
        throw_bad(at, "is out of range");
      if (count * s.ns % to != 0)
        throw_bad(at, "is finer than its type");
      return count * s.ns / to;
    }
  throw_bad(at, "must be a duration like \"90s\"");
}

const json::object& read_object(const json::value& v, const path& at) {
  if (!v.is_object())
    wrong_type(at, "an object", v);
  return v.get_object();
}

const json::array& read_array(const json::value& v, const path& at) {
  if (!v.is_array())
    wrong_type(at, "an array", v);
  return v.get_array();
}

json::value parse_exact(std::string_view text) {
  json::parse_options options;
  options.max_depth = most_depth;
  json::basic_parser<exact_handler> parser{options};
  boost::system::error_code ec;
  auto used = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && used < text.size())
    ec = json::make_error_code(json::error::extra_data);
  if (ec)
    throw std::runtime_error{"not JSON at byte " + std::to_string(used) + ": " +
                             ec.message()};
  return parser.handler().stack.release();
}

}  // namespace troupe::detail
