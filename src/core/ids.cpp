#include "core/ids.hpp"

#include <array>
#include <utility>

namespace troupe {

namespace {

constexpr std::array<std::pair<chat_key::kind, std::string_view>, 4> prefixes{{
    {chat_key::kind::poll, "poll:"},
    {chat_key::kind::update, "update:"},
    {chat_key::kind::opaque, "opaque:"},
    {chat_key::kind::campaign, "campaign:"},
}};

// The finaliser of splitmix64: full avalanche, public domain constants.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

std::string to_string(const chat_key& key) {
  std::string out;
  for (auto& [type, prefix] : prefixes)
    if (type == key.type)
      out = prefix;
  return out + std::to_string(key.id);
}

result<chat_key> parse_chat_key(std::string_view text) {
  chat_key key;
  std::string_view digits = text;
  for (auto& [type, prefix] : prefixes) {
    if (text.starts_with(prefix)) {
      key.type = type;
      digits = text.substr(prefix.size());
    }
  }
  auto [end, ec] =
      std::from_chars(digits.data(), digits.data() + digits.size(), key.id);
  if (ec != std::errc{} || end != digits.data() + digits.size())
    return error{errc::bad_input,
                 "not a chat key: '" + std::string{text.substr(0, 64)} +
                     "' (expected a chat id such as 42 or -1001, or poll:7)"};
  return key;
}

std::uint64_t stable_hash(const chat_key& key) noexcept {
  // Two bits tell the first four kinds apart; a third came later.
  const auto type = static_cast<std::uint64_t>(key.type);
  return mix(static_cast<std::uint64_t>(key.id) ^ (type << 62) ^
             (type >> 2 << 61));
}

std::int64_t stable_hash(std::string_view text) noexcept {
  std::uint64_t h = 0xcbf29ce484222325ULL;  // FNV-1a, then mixed
  for (unsigned char c : text)
    h = (h ^ c) * 0x100000001b3ULL;
  return static_cast<std::int64_t>(mix(h) >> 1);
}

shard_id shard_of(const chat_key& key, std::uint16_t shards) noexcept {
  return {static_cast<std::uint16_t>(stable_hash(key) % shards)};
}

}  // namespace troupe
