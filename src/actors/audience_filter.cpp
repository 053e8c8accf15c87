#include "actors/audience_filter.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace troupe::actors {

namespace {

constexpr std::string_view blanks = " \t\r\n";
// A century: no clock of ours overflows with it.
constexpr std::int64_t longest_ms = std::int64_t{36'500} * 24 * 3'600'000;

std::string_view without_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

error wrong_term(std::string_view term, const std::string& why) {
  return {errc::bad_input,
          "audience: '" + std::string{term.substr(0, 64)} + "': " + why};
}

std::optional<milliseconds> read_duration(std::string_view text) {
  constexpr std::array<std::pair<char, std::int64_t>, 5> units{
      {{'s', 1'000},
       {'m', 60'000},
       {'h', 3'600'000},
       {'d', 86'400'000},
       {'w', 604'800'000}}};
  if (text.size() < 2)
    return std::nullopt;
  const auto unit = std::ranges::find(units, text.back(),
                                      [](const auto& u) { return u.first; });
  std::int64_t n = 0;
  const char* const end = text.data() + text.size() - 1;
  const auto [stop, bad] = std::from_chars(text.data(), end, n);
  if (unit == units.end() || bad != std::errc{} || stop != end || n < 1 ||
      n > longest_ms / unit->second)
    return std::nullopt;
  return milliseconds{n * unit->second};
}

bool is_language(std::string_view text) {
  return !text.empty() && text.size() <= 35 &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '-';
         });
}

bool same_letter(char a, char b) {
  const auto low = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  return low(a) == low(b);
}

bool speaks_language(std::string_view has, std::string_view wanted) {
  return has.size() >= wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), has.begin(), same_letter) &&
         (has.size() == wanted.size() || has[wanted.size()] == '-');
}

}  // namespace

result<audience_filter> audience_filter::parse(std::string_view text) {
  audience_filter out;
  if (without_blanks(text).empty())
    return out;
  for (;;) {
    const auto comma = text.find(',');
    if (auto ok = out.add(without_blanks(text.substr(0, comma))); !ok)
      return ok.error();
    if (comma == std::string_view::npos)
      return out;
    text.remove_prefix(comma + 1);
  }
}

result<> audience_filter::add(std::string_view term) {
  if (const auto equals = term.find('='); equals != std::string_view::npos) {
    const auto name = without_blanks(term.substr(0, equals));
    const auto value = without_blanks(term.substr(equals + 1));
    if (name == "lang") {
      if (!is_language(value))
        return wrong_term(term, "not a language code such as de or pt-br");
      languages_.emplace_back(value);
      return {};
    }
    if (name == "tag" || name == "tag!")
      return add_tag(term, name, value);
    if (name != "kind")
      return wrong_term(term,
                        "not known; there are lang=, tag=, tag!= and kind=");
    if (value != "private" && value != "group" && value != "any")
      return wrong_term(term, "kind is private, group or any");
    kind_ = value == "private" ? kind::personal
            : value == "group" ? kind::group
                               : kind::any;
    return {};
  }
  const auto word = term.substr(0, term.find_first_of(blanks));
  auto* into = word == "active" ? &active_
               : word == "idle" ? &idle_
               : word == "new"  ? &new_
                                : nullptr;
  if (into == nullptr)
    return wrong_term(term,
                      "not known; there are active, idle, new, lang=, tag=, "
                      "tag!= and kind=");
  *into = read_duration(without_blanks(term.substr(word.size())));
  if (!*into)
    return wrong_term(term, "needs a time such as 12h or 30d");
  return {};
}

result<> audience_filter::add_tag(std::string_view term, std::string_view name,
                                  std::string_view tag) {
  if (!store::is_tag(tag))
    return wrong_term(term,
                      "a tag is 1 to 64 printable ASCII characters without "
                      "blanks");
  (name == "tag" ? tags_ : without_).emplace_back(tag);
  return {};
}

bool audience_filter::matches(const store::member& who, wall_time now) const {
  if (who.key.type != chat_key::kind::chat || who.key.id == 0 ||
      who.status != store::audience_status::active)
    return false;
  if (kind_ != kind::any && who.key.is_private() != (kind_ == kind::personal))
    return false;
  if (active_ && who.last_seen < now - *active_)
    return false;
  if (idle_ && who.last_seen >= now - *idle_)
    return false;
  if (new_ && who.first_seen < now - *new_)
    return false;
  const auto has = [&](const std::string& tag) {
    return std::ranges::binary_search(who.tags, tag);
  };
  if (!std::ranges::all_of(tags_, has) || std::ranges::any_of(without_, has))
    return false;
  return languages_.empty() ||
         std::ranges::any_of(languages_, [&](const auto& wanted) {
           return speaks_language(who.language, wanted);
         });
}

}  // namespace troupe::actors
