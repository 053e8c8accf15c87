#include "sim/params.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

namespace troupe::sim {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The value of `name="..."` in a header such as Content-Disposition.
std::string_view attribute(std::string_view header, std::string_view name) {
  for (std::size_t at = 0; at < header.size();) {
    auto end = std::min(header.find(';', at), header.size());
    auto part = trimmed(header.substr(at, end - at));
    auto equals = part.find('=');
    if (equals != std::string_view::npos &&
        same(trimmed(part.substr(0, equals)), name)) {
      auto value = trimmed(part.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
        value = value.substr(1, value.size() - 2);
      return value;
    }
    at = end + 1;
  }
  return {};
}

}  // namespace

void params::add(std::string name, std::string value) {
  if (!has(name))
    list_.emplace_back(std::move(name), std::move(value));
}

bool params::has(std::string_view name) const noexcept {
  return std::any_of(list_.begin(), list_.end(),
                     [&](auto& p) { return p.first == name; });
}

std::string_view params::get(std::string_view name) const noexcept {
  for (auto& [key, value] : list_)
    if (key == name)
      return value;
  return {};
}

std::int64_t params::integer(std::string_view name,
                             std::int64_t otherwise) const noexcept {
  return lenient_integer(get(name), otherwise);
}

bool params::flag(std::string_view name) const noexcept {
  auto value = trimmed(get(name));
  return value == "1" || same(value, "true") || same(value, "yes");
}

std::int64_t lenient_integer(std::string_view text,
                             std::int64_t otherwise) noexcept {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+')
    text.remove_prefix(1);
  std::int64_t n = 0;
  auto [end, fault] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (fault == std::errc::result_out_of_range)
    return text.front() == '-' ? std::numeric_limits<std::int64_t>::min()
                               : std::numeric_limits<std::int64_t>::max();
  return fault == std::errc{} ? n : otherwise;
}

std::string percent_decoded(std::string_view text, bool form) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 &&
        hex(text[i + 2]) >= 0) {
      out.push_back(
          static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])));
      i += 2;
    } else {
      out.push_back(form && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

void read_form(std::string_view text, params& into) {
  while (!text.empty()) {
    auto end = std::min(text.find('&'), text.size());
    auto pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    auto equals = std::min(pair.find('='), pair.size());
    auto name = percent_decoded(pair.substr(0, equals), true);
    if (name.empty())
      continue;
    into.add(
        std::move(name),
        percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true));
  }
}

void read_multipart(std::string_view body, std::string_view content_type,
                    params& into) {
  auto boundary = attribute(content_type, "boundary");
  if (boundary.empty() || boundary.size() > 70)
    return;
  auto mark = "--" + std::string{boundary};
  auto at = body.find(mark);
  while (at != std::string_view::npos) {
    auto part = body.substr(at + mark.size());
    if (part.substr(0, 2) == "--")
      return;
    auto blank = part.find("\r\n\r\n");
    auto end = part.find("\r\n" + mark);
    if (blank == std::string_view::npos || end == std::string_view::npos)
      return;
    auto head = part.substr(0, blank);
    std::string_view name, file;
    while (!head.empty()) {
      auto line_end = std::min(head.find("\r\n"), head.size());
      auto line = head.substr(0, line_end);
      head.remove_prefix(std::min(line_end + 2, head.size()));
      auto colon = line.find(':');
      if (colon == std::string_view::npos ||
          !same(trimmed(line.substr(0, colon)), "content-disposition"))
        continue;
      name = attribute(line.substr(colon + 1), "name");
      file = attribute(line.substr(colon + 1), "filename");
    }
    if (!name.empty() && file.empty() && blank + 4 <= end)
      into.add(std::string{name},
               std::string{part.substr(blank + 4, end - blank - 4)});
    at = body.find(mark, at + mark.size() + end);
  }
}

params read_params(const http::request& from, telegram::members& reader) {
  params out;
  read_form(from.query(), out);
  if (from.body.empty())
    return out;
  auto type = from.headers.find("Content-Type");
  auto media = trimmed(type.substr(0, type.find(';')));
  if (same(media, "application/json")) {
    reader.read(from.body);
    for (auto& m : reader)
      out.add(std::string{m.name}, std::string{m.value});
  } else if (same(media, "multipart/form-data")) {
    read_multipart(from.body, type, out);
  } else if (same(media, "application/x-www-form-urlencoded")) {
    read_form(from.body, out);
  }
  return out;
}

}  // namespace troupe::sim
