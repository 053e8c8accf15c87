#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/postgres_seen.hpp"
#include "store/postgres_wire.hpp"
#include "store/store.hpp"

/// One group of operations, as rows: what it is about, what it found there,
/// and what it leaves behind.
namespace troupe::store::postgres {

using shard_number = std::uint16_t;
/// (shard, sequence or call id or block)
using place = std::pair<shard_number, std::int64_t>;
using timer_name = std::pair<chat_key, std::string>;

inline std::int64_t kt(const chat_key& key) {
  return static_cast<std::int64_t>(key.type);
}
inline chat_key key_of(std::int64_t type, std::int64_t id) {
  return {static_cast<chat_key::kind>(type), id};
}
inline std::int64_t as_column(std::uint64_t n) {
  return static_cast<std::int64_t>(n);
}

/// What a group's operations are about.
struct needs {
  bool writes = false;
  std::set<shard_number> owners;   ///< must stay what they are
  std::set<shard_number> changed;  ///< renewed, released
  std::set<shard_number> claimed;
  std::set<shard_number> tails;   ///< appended to
  std::set<shard_number> looked;  ///< whose tail is told
  std::set<place> seen;
  std::set<place> journal;
  std::set<chat_key> chats;
  std::set<place> calls;
  std::set<timer_name> timers;
  std::set<std::int64_t> dead;
  std::set<chat_key> members;  ///< whose tags change, or who are forgotten
  /// And up to which sequence.
  std::map<chat_key, std::int64_t> forgotten;
  std::vector<request> names;  ///< done as they come, before all others
  /// Of the author's: the group is of that one turn.
  std::vector<sql_statement> sql;
};

struct owner_row {
  std::int64_t term = 0;
  std::int64_t till = 0;
  std::string node;  ///< empty: nobody
};

struct seen_row {
  wall_time touched{};
  seen_ids ids;
};

struct chat_row {
  std::uint64_t version = 0;
  std::string labels;
};

struct timer_row {
  wall_time due;
  std::string body;
};

/// The rows a group has locked and read, kept up to date by its operations.
struct findings {
  std::int64_t now = 0;  ///< the server's, after the locks
  std::map<shard_number, owner_row> owners;
  std::set<shard_number> claimable;  ///< nobody else has a lock on it
  std::map<shard_number, std::int64_t> tails;
  std::map<place, seen_row> seen;
  std::map<place, chat_key> journal;
  std::unordered_map<chat_key, chat_row> chats;
  std::set<place> calls;
  std::map<timer_name, timer_row> timers;
  std::map<std::int64_t, dead_letter> dead;
  std::set<chat_key> members;
  std::map<chat_key, std::vector<std::string>> tags;
  std::map<chat_key, holdings> forgotten;
  std::set<place> forgotten_calls;
};

/// What changed since the last flush: the final state of each row, but for
/// `dead` and `journal`, which only grow and shrink, and `tallies`, which
/// is added.
struct changes {
  struct chat_change {
    std::uint64_t version = 0;
    std::optional<std::int64_t> expires;
    std::optional<std::string> mode, memo, labels, state;
  };

  std::set<shard_number> owners, tails;
  std::set<place> seen;
  columns entries{sql::put_entries};
  columns died{sql::entries_died};
  std::set<place> acknowledged;
  std::map<chat_key, chat_change> chats;
  std::map<place, call> calls;
  std::set<place> attempted, settled;
  std::set<timer_name> timers;  ///< set, if found; else gone
  std::map<chat_key, std::pair<audience_change, wall_time>> members;
  /// Members if they were none.
  std::map<chat_key, std::pair<audience_change, wall_time>> newcomers;
  std::set<chat_key> tags;  ///< as found
  std::map<std::pair<wall_time, chat_key>, std::int64_t> spending;
  /// Of each shard's settlements: so two nodes never change one row.
  std::map<std::pair<std::uint64_t, shard_number>, campaign_tally> tallies;
  columns dead{sql::put_dead};
  std::vector<std::int64_t> undead;

  /// The statements for all of it, in an order that fits. Then it is empty.
  std::vector<request> flush(const findings& now, std::uint16_t shards);
};

std::int64_t flags_of(const call& c);
constexpr std::int64_t flag_once = 1;
constexpr std::int64_t flag_reply = 2;
constexpr std::int64_t flag_bulk = 4;
constexpr std::int64_t flag_attempted = 8;
/// Above them stands the number of its campaign, or of its event.
constexpr unsigned number_bits = 8;

/// Locks, in the order that all nodes keep, and what is read under them; after
/// `BEGIN` and `first`. Statements of the author's come before the locks that
/// other nodes wait for, and after what tells whether the turn is to be
/// committed at all.
/// @param around the author's statements: how the session behaves for them, and
/// for ours again
std::vector<request> questions(const needs& of, request first,
                               const std::pair<request, request>& around,
                               std::uint16_t shards);

/// So many of `questions` come before the first of those with an answer.
inline constexpr std::size_t before_questions = 2;

/// Puts the answers to `questions` in their places, as far as there are some.
/// **Errors**: `errc::corrupt`.
result<findings> understood(const needs& of, const std::vector<request>& asked,
                            const std::vector<table>& answers);

dead_letter dead_letter_of(const table& t, int row);

/// The question for `holdings`, and its answer.
request about_chats(const std::map<chat_key, std::int64_t>& of,
                    std::uint16_t shards);
holdings holdings_of(const table& t, int row);

}  // namespace troupe::store::postgres
