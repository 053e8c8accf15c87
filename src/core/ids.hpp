#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace troupe {

/// A number that can't be mistaken for another kind of number.
/// @tparam Tag makes the type unique; it is never completed.
template <class Tag, class Rep>
struct strong_id {
  Rep value{};

  friend auto operator<=>(const strong_id&, const strong_id&) = default;
};

/// Telegram's number of an update: per bot, mostly ascending, but drawn anew
/// (and possibly lower) after a week of silence. An int32 today, kept as int64.
using update_id = strong_id<struct update_id_tag, std::int64_t>;

/// One of N groups of chat keys; N is fixed when a store is created.
using shard_id = strong_id<struct shard_id_tag, std::uint16_t>;

/// Grows by one with every new claim of a shard; 0 is "never claimed".
using epoch = strong_id<struct epoch_tag, std::uint32_t>;

/// Position in a shard's journal: gapless, starts at 1; 0 is "before all".
using seq_no = strong_id<struct seq_no_tag, std::uint64_t>;

/// Identity of one committed Bot API call within its shard. The owner
/// allocates it (`make_call_id`), ascending within one ownership and across.
using call_id = strong_id<struct call_id_tag, std::uint64_t>;

/// The `n`-th call that the holder of `e` commits. Unique per shard, since an
/// epoch has one holder.
constexpr call_id make_call_id(epoch e, std::uint32_t n) {
  return {(std::uint64_t{e.value} << 32) | n};
}

/// Identity of a dead letter in its store; ascending in the order of death.
using dead_letter_id = strong_id<struct dead_letter_id_tag, std::uint64_t>;

/// What orders an update. A private chat and its user share one key, because
/// Telegram gives both the same id.
struct chat_key {
  enum class kind : std::uint8_t {
    chat = 0,      ///< a chat's id, or the id of a user where there is no chat
    poll = 1,      ///< a poll's id
    update = 2,    ///< an update that names neither: ordered with nothing
    opaque = 3,    ///< a hash of a string id (guest queries, odd poll ids)
    campaign = 4,  ///< no chat: a broadcast's number; 0 is their register
  };

  kind type = kind::chat;
  std::int64_t id = 0;

  static constexpr chat_key chat(std::int64_t n) { return {kind::chat, n}; }
  static constexpr chat_key poll(std::int64_t n) { return {kind::poll, n}; }
  static constexpr chat_key campaign(std::int64_t n) {
    return {kind::campaign, n};
  }
  static constexpr chat_key lone(update_id n) {
    return {kind::update, n.value};
  }

  friend auto operator<=>(const chat_key&, const chat_key&) = default;

  /// True for private chats (and users): the id is positive.
  constexpr bool is_private() const { return type == kind::chat && id > 0; }
  /// True for groups, supergroups and channels: the id is negative.
  constexpr bool is_group() const { return type == kind::chat && id < 0; }
};

/// Written form: `42`, `-1001`, `poll:7`, `update:9`, `opaque:5`,
/// `campaign:1`.
std::string to_string(const chat_key& key);

/// Reads the written form.
/// **Errors**: `errc::bad_input` with what was wrong.
result<chat_key> parse_chat_key(std::string_view text);

/// A 64-bit mix of the key. Part of the store's format: never change it.
std::uint64_t stable_hash(const chat_key& key) noexcept;

/// A stable 63-bit hash of a string id, for `chat_key::kind::opaque`.
std::int64_t stable_hash(std::string_view text) noexcept;

/// The shard of a key among `shards` (> 0).
shard_id shard_of(const chat_key& key, std::uint16_t shards) noexcept;

}  // namespace troupe

template <class Tag, class Rep>
struct std::hash<troupe::strong_id<Tag, Rep>> {
  std::size_t operator()(const troupe::strong_id<Tag, Rep>& x) const noexcept {
    return std::hash<Rep>{}(x.value);
  }
};

template <>
struct std::hash<troupe::chat_key> {
  std::size_t operator()(const troupe::chat_key& key) const noexcept {
    return static_cast<std::size_t>(troupe::stable_hash(key));
  }
};
