#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

/// What every engine refuses before it touches anything, and the texts that
/// every engine writes alike.
namespace troupe::store {

result<> check_shard(shard_id s, std::uint16_t shards);
result<> check_shards(const std::vector<shard_id>& all, std::uint16_t shards);
result<> check_arrivals(const std::vector<arrival>& batch);
/// @param sql whether turns may have some
result<> check_commit(const lease& held, const std::vector<turn>& turns,
                      std::uint16_t shards, bool sql = false);
result<> check_settle(const lease& held,
                      const std::vector<settlement>& outcomes,
                      std::uint16_t shards);

/// True if the settlement ends the call.
constexpr bool is_final(call_outcome o) {
  return o != call_outcome::attempting;
}

/// Adds a final outcome to its campaign's tally.
void add_outcome(campaign_tally& to, const settlement& s);

result<> check_forget(const lease& held, const chat_key& key,
                      std::uint16_t shards);
result<> check_tag(const std::string& name);

/// Tags as they are stored: ascending, with a blank between them.
std::string join_tags(const std::vector<std::string>& tags);
std::vector<std::string> split_tags(std::string_view text);

/// Takes tags from `have` and adds others, while there is room, in their
/// order. How many had none.
std::uint32_t change_tags(std::vector<std::string>& have,
                          const std::vector<std::string>& untag,
                          const std::vector<std::string>& tag);

/// The body of a notice's journal entry.
std::string notice_body(const chat_key& from, const notice& what);

/// The body of a timer that became a dead letter.
std::string timer_body(const timer& t);

/// A turn whose acknowledged thing is there, on a record of another version.
error wrong_version(const turn& t, std::uint64_t stored);

/// A journal entry that belongs to another chat than the turn's.
error wrong_chat(const turn& t, const chat_key& stored);

/// Puts or replaces the label of a committed call.
void put_label(std::vector<label>& labels, const std::string& name,
               call_id call);

/// Notes the message id of a sent call. False, with nothing noted, if the call
/// is not the label's latest, names no message or went to another chat.
bool note_message(std::vector<label>& labels, const settlement& s);

/// When the record's state ends once `t` is committed (0: never), or nothing if
/// that stays as it was.
std::optional<std::int64_t> new_expiry(const turn& t, wall_time now);

/// An expired state is hidden at once, and swept this much later: a chat that
/// is awake keeps its copy until it is idle.
constexpr auto sweep_grace = std::chrono::minutes{10};

}  // namespace troupe::store
