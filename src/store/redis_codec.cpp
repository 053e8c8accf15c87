#include "store/redis_codec.hpp"

#include <array>
#include <charconv>
#include <vector>

#include "store/checks.hpp"

namespace troupe::store::redis {

namespace {

template <class T>
std::optional<T> read_whole(std::string_view text, int base = 10) {
  T n{};
  const auto* end = text.data() + text.size();
  const auto [stopped, ec] = std::from_chars(text.data(), end, n, base);
  if (ec != std::errc{} || stopped != end || text.empty())
    return std::nullopt;
  return n;
}

// Fields are parted by tabs and end at the first line break.
void put_field(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\t': out += "\\t"; break;
      case '\n': out += "\\n"; break;
      default: out += c;
    }
  }
}

std::string read_field(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    out += c == 't' ? '\t' : c == 'n' ? '\n' : c;
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char at,
                                    std::size_t most = ~std::size_t{0}) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto end = out.size() + 1 == most ? text.npos : text.find(at);
    out.push_back(text.substr(0, end));
    if (end == text.npos)
      return out;
    text.remove_prefix(end + 1);
  }
}

struct parted {
  std::vector<std::string_view> fields;
  std::string_view body;
};

parted part_line(std::string_view text) {
  const auto end = text.find('\n');
  if (end == text.npos)
    return {split(text, '\t'), {}};
  return {split(text.substr(0, end), '\t'), text.substr(end + 1)};
}

std::optional<audience_status> status_of(std::string_view digit) {
  const auto n = read_whole<unsigned>(digit);
  if (!n || *n > unsigned(audience_status::migrated))
    return std::nullopt;
  return static_cast<audience_status>(*n);
}

}  // namespace

std::string call_id_text(call_id id) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; id.value >>= 4)
    out[i] = digits[id.value & 15];
  return out;
}

std::optional<call_id> read_call_id(std::string_view text) {
  const auto n = read_whole<std::uint64_t>(text, 16);
  if (!n)
    return std::nullopt;
  return call_id{*n};
}

std::string entry_head(entry_kind type, const chat_key& key, update_id id,
                       wall_time at, std::string_view name) {
  std::string out = std::to_string(unsigned(type));
  for (const auto& field :
       {to_string(key), std::to_string(id.value), std::to_string(to_ms(at))}) {
    out += ' ';
    out += field;
  }
  if (type == entry_kind::timer) {
    out += ' ';
    out += name;
  }
  return out;
}

std::optional<entry> read_entry(std::string_view head, std::string body) {
  const auto fields = split(head, ' ', 5);
  if (fields.size() < 4)
    return std::nullopt;
  const auto type = read_whole<unsigned>(fields[0]);
  const auto key = parse_chat_key(fields[1]);
  const auto id = read_whole<std::int64_t>(fields[2]);
  const auto at = read_whole<std::int64_t>(fields[3]);
  if (!type || *type > unsigned(entry_kind::timer) || !key || !id || !at)
    return std::nullopt;
  entry e;
  e.type = static_cast<entry_kind>(*type);
  e.key = *key;
  e.id = {*id};
  e.accepted_at = from_ms(*at);
  if (e.type == entry_kind::timer && fields.size() == 5)
    body = timer_body(
        {e.key, std::string{fields[4]}, e.accepted_at, std::move(body)});
  e.body = make_payload(std::move(body));
  return e;
}

std::string call_text(const call& c) {
  std::string out;
  out.reserve(c.body->size() + c.method.size() + c.label.size() + 96);
  out += c.attempted ? '1' : '0';
  for (const bool flag : {c.policy == call_policy::at_most_once, c.reply}) {
    out += '\t';
    out += flag ? '1' : '0';
  }
  // A campaign's number, or an event's, stands in the place of the flag.
  out += '\t';
  if (c.bulk)
    out += c.campaign == 0 ? "1" : 'c' + std::to_string(c.campaign);
  else
    out += c.event == 0 ? "0" : 'e' + std::to_string(c.event);
  for (const auto& field : {std::to_string(to_ms(c.at)), to_string(c.from),
                            to_string(c.to), c.method, c.label, c.target}) {
    out += '\t';
    put_field(out, field);
  }
  out += '\n';
  out += *c.body;
  return out;
}

std::optional<call> read_call(std::string_view id, std::string_view text) {
  const auto [fields, body] = part_line(text);
  const auto number = read_call_id(id);
  if (fields.size() != 10 || !number)
    return std::nullopt;
  const auto at = read_whole<std::int64_t>(fields[4]);
  const auto from = parse_chat_key(fields[5]);
  const auto to = parse_chat_key(fields[6]);
  if (!at || !from || !to)
    return std::nullopt;
  call c;
  c.id = *number;
  c.attempted = fields[0] == "1";
  if (fields[1] == "1")
    c.policy = call_policy::at_most_once;
  c.reply = fields[2] == "1";
  const bool of_event = fields[3].starts_with('e');
  c.bulk = fields[3] != "0" && !of_event;
  if (of_event || fields[3].starts_with('c')) {
    const auto of = read_whole<std::uint64_t>(fields[3].substr(1));
    if (!of)
      return std::nullopt;
    (of_event ? c.event : c.campaign) = *of;
  }
  c.at = from_ms(*at);
  c.from = *from;
  c.to = *to;
  c.method = read_field(fields[7]);
  c.label = read_field(fields[8]);
  c.target = read_field(fields[9]);
  c.body = make_payload(std::string{body});
  return c;
}

unsigned audience_bucket(const chat_key& key) noexcept {
  // The high end: the low one chose the shard.
  return static_cast<unsigned>(stable_hash(key) >> 56) % audience_buckets;
}

char status_digit(audience_status s) noexcept {
  return static_cast<char>('0' + static_cast<int>(s));
}

std::optional<member> read_member(std::string_view key, std::string_view text) {
  const auto fields = split(text, ' ');
  const auto who = parse_chat_key(key);
  if (fields.size() != 4 || !who)
    return std::nullopt;
  const auto status = status_of(fields[0]);
  const auto first = read_whole<std::int64_t>(fields[2]);
  const auto last = read_whole<std::int64_t>(fields[3]);
  if (!status || !first || !last)
    return std::nullopt;
  return member{*who, *status, std::string{fields[1]}, from_ms(*first),
                from_ms(*last)};
}

std::string parcel_text(const parcel& p) {
  std::string out = !p.text                            ? "sight"
                    : p.text->type == entry_kind::call ? "call"
                                                       : "notice";
  out += '\t';
  out += std::to_string(p.to.value);
  if (p.text) {
    for (const auto& key : {p.from, p.text->to}) {
      out += '\t';
      out += to_string(key);
    }
    out += '\n';
    out += p.text->text;
    return out;
  }
  out += '\t';
  out += to_string(p.sight->key);
  out += '\t';
  out += status_digit(p.sight->status);
  out += '\t';
  put_field(out, p.sight->language);
  return out;
}

std::optional<parcel> read_parcel(std::string_view text) {
  const auto [fields, body] = part_line(text);
  if (fields.size() < 4)
    return std::nullopt;
  const auto to = read_whole<std::uint16_t>(fields[1]);
  const auto key = parse_chat_key(fields[2]);
  if (!to || !key)
    return std::nullopt;
  parcel p;
  p.to = {*to};
  if (fields[0] == "notice" || fields[0] == "call") {
    const auto target = parse_chat_key(fields[3]);
    if (!target)
      return std::nullopt;
    p.from = *key;
    p.text =
        notice{*target, std::string{body},
               fields[0] == "call" ? entry_kind::call : entry_kind::notice};
    return p;
  }
  const auto status = status_of(fields[3]);
  if (fields[0] != "sight" || fields.size() != 5 || !status)
    return std::nullopt;
  p.sight = audience_change{*key, *status, read_field(fields[4])};
  return p;
}

}  // namespace troupe::store::redis
