#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/store.hpp"

/// How the values look that the Redis store writes: text, so that a person
/// with redis-cli can read them. Part of its format: a change raises
/// `redis_format`.
namespace troupe::store::redis {

constexpr unsigned redis_format = 1;

/// 16 hex digits: they order as text.
std::string call_id_text(call_id id);
std::optional<call_id> read_call_id(std::string_view text);

/// `<kind> <key> <update> <accepted, ms>`, and ` <name>` for a timer that
/// failed: its body stands beside as it was set.
std::string entry_head(entry_kind type, const chat_key& key, update_id id,
                       wall_time at, std::string_view name = {});

/// An entry without sequence and, where nothing is to be added to `body`,
/// with that as its body.
std::optional<entry> read_entry(std::string_view head, std::string body);

/// `<attempted> <fields>\n<body>`; the script knows the first character.
std::string call_text(const call& c);
std::optional<call> read_call(std::string_view id, std::string_view text);

/// An audience member's value: `<status> <language> <first> <last>`, times in
/// ms.
std::optional<member> read_member(std::string_view key, std::string_view text);

/// A shard's audience lies in so many hashes: few enough members in each for
/// Redis's packed form (128) up to 32,768 members a shard.
constexpr unsigned audience_buckets = 256;
unsigned audience_bucket(const chat_key& key) noexcept;

char status_digit(audience_status s) noexcept;

/// What a commit does to another shard than its own.
struct parcel {
  shard_id to;
  std::optional<notice> text;  ///< or `sight`
  chat_key from;               ///< of the notice
  std::optional<audience_change> sight;
};

std::string parcel_text(const parcel& p);
std::optional<parcel> read_parcel(std::string_view text);

}  // namespace troupe::store::redis
