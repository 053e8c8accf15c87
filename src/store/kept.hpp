#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "core/ids.hpp"

/// What a store keeps beside what is under way: the audience, dead letters, and
/// figures of all of it. A part of the contract (store.hpp).
namespace troupe::store {

/// A payload that travels from the socket to the store and on to a chat
/// without being copied.
using payload = std::shared_ptr<const std::string>;

inline payload make_payload(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

/// What a journal entry is.
enum class entry_kind : std::uint8_t {
  update = 0,   ///< `body` is the update's JSON
  notice = 1,   ///< `body` is JSON {"from": "<chat key>", "text": "..."}
  outcome = 2,  ///< `body` is the JSON event of a labelled call
  /// A refused call that is tried again, or another chat's call to this one:
  /// JSON {"method", "body", "label"}.
  call = 3,
  timer = 4,  ///< a timer whose turn failed: JSON {"name", "body"}
};

// -- the audience -------------------------------------------------------------

/// The chat's standing for broadcasts.
enum class audience_status : std::uint8_t { active, blocked, gone, migrated };

/// Tags of one member, and the bytes of one tag.
constexpr std::size_t most_tags = 16;
constexpr std::size_t longest_tag = 64;

/// True for 1 to `longest_tag` printable ASCII characters without blanks and
/// commas.
bool is_tag(std::string_view text) noexcept;

struct audience_change {
  chat_key key;
  audience_status status = audience_status::active;
  std::string language{};  ///< empty: unchanged
  /// False: only the tags change. Who is no member yet becomes one by `status`.
  bool seen = true;
  /// Of a turn, about its own chat: taken away, then given. A member has at
  /// most `most_tags`; those for which there is no room are left out.
  std::vector<std::string> untag{};
  std::vector<std::string> tag{};

  bool changes_tags() const noexcept { return !tag.empty() || !untag.empty(); }
};

/// An audience member.
struct member {
  chat_key key;
  audience_status status = audience_status::active;
  std::string language;
  wall_time first_seen;
  /// Of the last sight, and of the last turn to the hour: chats report one an
  /// hour, since it would be a write with every turn.
  wall_time last_seen;
  std::vector<std::string> tags{};  ///< ascending
};

// -- dead letters -------------------------------------------------------------

struct dead_letter {
  dead_letter_id id;
  shard_id shard;
  entry_kind type = entry_kind::update;
  chat_key key;
  update_id update;
  wall_time accepted_at;
  wall_time died_at;
  std::string error;
  payload body;
};

// -- one chat -----------------------------------------------------------------

/// How much is kept about one chat.
struct holdings {
  std::uint64_t records = 0;  ///< state, mode, labels: 1 or 0
  std::uint64_t entries = 0;  ///< of its journal: accepted, not acknowledged
  std::uint64_t calls = 0;    ///< that it committed, not settled
  std::uint64_t timers = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t members = 0;  ///< of the audience: 1 or 0
  std::uint64_t tags = 0;

  std::uint64_t sum() const noexcept {
    return records + entries + calls + timers + dead_letters + members + tags;
  }
};

// -- figures ------------------------------------------------------------------

/// Depths and sizes, for people.
struct figures {
  std::uint64_t journal = 0;  ///< accepted, not acknowledged
  std::uint64_t outbox = 0;   ///< committed, not settled
  std::uint64_t timers = 0;
  /// Records. Redis counts those, too, that went with the end of their state.
  std::uint64_t chats = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t bytes = 0;       ///< of the file(s), or estimated
  std::uint64_t free_bytes = 0;  ///< of those, reusable
};

}  // namespace troupe::store
