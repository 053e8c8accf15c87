#include "telegram/text.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace troupe::telegram::detail {

namespace {

constexpr std::string_view space = " \t\r\n";

char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// True for the second and later bytes of a character in UTF-8.
bool is_tail(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u;
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// The four hex digits at `at`, or -1.
int code_unit(std::string_view text, std::size_t at) noexcept {
  if (at + 4 > text.size())
    return -1;
  int out = 0;
  for (char c : text.substr(at, 4)) {
    char l = to_lower(c);
    if (!is_digit(c) && (l < 'a' || l > 'f'))
      return -1;
    out = out * 16 + (is_digit(c) ? c - '0' : l - 'a' + 10);
  }
  return out;
}

void append_utf8(std::string& out, unsigned code) {
  auto tail = [&](unsigned shift) {
    out.push_back(static_cast<char>(0x80u | ((code >> shift) & 0x3fu)));
  };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0u | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0u | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0u | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Appends what the `\uXXXX` (or pair of them) whose first hex digit is at `at`
// stands for; the position after it.
std::size_t append_code_point(std::string& out, std::string_view text,
                              std::size_t at) {
  int first = code_unit(text, at);
  if (first < 0) {
    append_utf8(out, 0xfffd);
    return at;
  }
  at += 4;
  auto code = static_cast<unsigned>(first);
  if (code >= 0xd800 && code < 0xdc00 && text.substr(at, 2) == "\\u") {
    int second = code_unit(text, at + 2);
    if (second >= 0xdc00 && second < 0xe000) {
      append_utf8(out, 0x10000 + ((code - 0xd800) << 10) +
                           (static_cast<unsigned>(second) - 0xdc00));
      return at + 6;
    }
  }
  append_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
  return at;
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
  auto from = text.find_first_not_of(space);
  if (from == std::string_view::npos)
    return {};
  return text.substr(from, text.find_last_not_of(space) - from + 1);
}

std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  std::int64_t n = 0;
  const char* end = text.data() + text.size();
  auto [stop, ec] = std::from_chars(text.data(), end, n);
  if (ec != std::errc{} || stop != end)
    return std::nullopt;
  return n;
}

bool is_json_number(std::string_view text) noexcept {
  std::size_t i = 0;
  auto digits = [&] {
    auto from = i;
    while (i < text.size() && is_digit(text[i]))
      ++i;
    return i - from;
  };
  if (i < text.size() && text[i] == '-')
    ++i;
  bool leading_zero = i < text.size() && text[i] == '0';
  auto whole = digits();
  if (whole == 0 || (leading_zero && whole > 1))
    return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0)
      return false;
  }
  if (i < text.size() && to_lower(text[i]) == 'e') {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-'))
      ++i;
    if (digits() == 0)
      return false;
  }
  return i == text.size();
}

bool valid_escapes(std::string_view body) noexcept {
  auto i = body.find('\\');
  while (i != std::string_view::npos) {
    if (i + 1 >= body.size())
      return false;
    char c = body[i + 1];
    if (c == 'u') {
      if (code_unit(body, i + 2) < 0)
        return false;
    } else if (std::string_view{"\"\\/bfnrt"}.find(c) ==
               std::string_view::npos) {
      return false;
    }
    i = body.find('\\', i + 2);
  }
  return true;
}

std::string unescape(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  std::size_t from = 0;
  auto i = body.find('\\');
  while (i != std::string_view::npos) {
    out.append(body.substr(from, i - from));
    char c = i + 1 < body.size() ? body[i + 1] : '\\';
    from = std::min(i + 2, body.size());
    switch (c) {
      case 'b': out.push_back('\b'); break;
      case 'f': out.push_back('\f'); break;
      case 'n': out.push_back('\n'); break;
      case 'r': out.push_back('\r'); break;
      case 't': out.push_back('\t'); break;
      case 'u': from = append_code_point(out, body, from); break;
      default: out.push_back(c); break;
    }
    i = body.find('\\', from);
  }
  return out.append(body.substr(from));
}

std::string_view prefix(std::string_view text, std::size_t limit) noexcept {
  if (text.size() <= limit)
    return text;
  while (limit > 0 && is_tail(text[limit]))
    --limit;
  return text.substr(0, limit);
}

std::size_t utf16_prefix(std::string_view text, std::int64_t units) noexcept {
  std::size_t i = 0;
  while (i < text.size() && units > 0) {
    // Four bytes in UTF-8 are a surrogate pair in UTF-16.
    units -= static_cast<unsigned char>(text[i]) >= 0xf0 ? 2 : 1;
    ++i;
    while (i < text.size() && is_tail(text[i]))
      ++i;
  }
  return i;
}

std::string lower(std::string_view ascii) {
  std::string out{ascii};
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}

bool equal_nocase(std::string_view a, std::string_view lower_b) noexcept {
  return a.size() == lower_b.size() && starts_nocase(a, lower_b);
}

bool starts_nocase(std::string_view text,
                   std::string_view lower_start) noexcept {
  return text.size() >= lower_start.size() &&
         std::equal(lower_start.begin(), lower_start.end(), text.begin(),
                    [](char l, char c) { return l == to_lower(c); });
}

bool item::named(std::string_view wanted) const {
  if (name.find('\\') == std::string_view::npos)
    return name == wanted;
  return unescape(name) == wanted;
}

std::string_view item::body() const noexcept {
  return is_string() && value.size() >= 2 ? value.substr(1, value.size() - 2)
                                          : value;
}

items::items(std::string_view text) noexcept : text_{text} {
  skip_space();
  if (at_ < text_.size() && (text_[at_] == '{' || text_[at_] == '['))
    close_ = text_[at_++] == '{' ? '}' : ']';
  else
    at_ = text_.size();
}

void items::skip_space() noexcept {
  at_ = std::min(text_.find_first_not_of(space, at_), text_.size());
}

bool items::skip_string() noexcept {
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\\') {
      ++at_;
    } else if (text_[at_] == '"') {
      ++at_;
      return true;
    }
  }
  return false;
}

bool items::skip_value() noexcept {
  if (at_ >= text_.size())
    return false;
  if (text_[at_] == '"')
    return skip_string();
  if (text_[at_] != '{' && text_[at_] != '[') {
    auto from = at_;
    at_ = text_.find_first_of(",]} \t\r\n", at_);
    return at_ != std::string_view::npos && at_ > from;
  }
  // Which bracket closes which is left to those who read the inside.
  for (std::size_t open = 0; at_ < text_.size();) {
    char c = text_[at_];
    if (c == '"') {
      if (!skip_string())
        return false;
      continue;
    }
    ++at_;
    if (c == '{' || c == '[')
      ++open;
    else if ((c == '}' || c == ']') && --open == 0)
      return true;
  }
  return false;
}

bool items::next(item& out) noexcept {
  if (close_ == 0 || complete_)
    return false;
  auto stop = [this] {
    at_ = text_.size();
    return false;
  };
  skip_space();
  if (at_ >= text_.size())
    return false;
  if (text_[at_] == close_) {
    ++at_;
    complete_ = true;
    return false;
  }
  if (!first_) {
    if (text_[at_] != ',')
      return stop();
    ++at_;
    skip_space();
  }
  first_ = false;
  out = {};
  if (is_object()) {
    auto from = at_;
    if (at_ >= text_.size() || text_[at_] != '"' || !skip_string())
      return stop();
    out.name = text_.substr(from + 1, at_ - from - 2);
    skip_space();
    if (at_ >= text_.size() || text_[at_] != ':')
      return stop();
    ++at_;
    skip_space();
  }
  auto from = at_;
  if (!skip_value())
    return stop();
  out.value = text_.substr(from, at_ - from);
  return true;
}

std::optional<item> find_member(std::string_view object,
                                std::string_view name) noexcept {
  items all{object};
  if (!all.is_object())
    return std::nullopt;
  for (item one; all.next(one);)
    if (one.named(name))
      return one;
  return std::nullopt;
}

std::optional<std::int64_t> integer_of(const item& from) noexcept {
  return parse_integer(from.body());
}

}  // namespace troupe::telegram::detail
