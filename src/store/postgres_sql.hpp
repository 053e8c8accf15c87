#pragma once

#include <cstdint>

namespace troupe::store::postgres {

/// Every statement that is prepared; the texts are in postgres_sql.cpp.
enum class sql : std::uint8_t {
  begin,
  commit,
  rollback,
  // what a group locks and looks at
  mark,
  marked,
  server_now,
  owners_kept,
  owners_changed,
  owners_claimed,
  tails_locked,
  tails_peek,
  seen,
  journal_keys,
  journal_locked,
  chat_heads,
  call_ids,
  timer_heads,
  timer_locked,
  dead_locked,
  members_locked,
  tags_of,
  about,
  calls_from,
  // what a group leaves behind
  put_owners,
  put_tails,
  put_seen,
  put_entries,
  entries_died,
  drop_entries,
  put_chats,
  put_calls,
  mark_calls,
  drop_calls,
  put_timers,
  drop_timers,
  put_members,
  new_members,
  put_tags,
  drop_tags,
  forget_entries,
  forget_calls,
  forget_timers,
  forget_letters,
  forget_members,
  forget_chats,
  put_spending,
  put_tallies,
  put_dead,
  drop_dead,
  acquire,
  relinquish,
  // reading, and who is there
  backlog,
  entries,
  load,
  outbox,
  calls,
  spent,
  due,
  next_due,
  timers,
  dead_letters,
  audience,
  tallies,
  stats,
  heartbeat,
  alive,
  leave,
  // house-keeping
  sweep_seen,
  clear_chats,
  drop_chats,
  sweep_chats,
  sweep_spending,
  sweep_names,
  sweep_nodes,
  sweep_writers,
  end_silent,
  count,
  author = count,  ///< not prepared: a statement of the bot's author
};

/// A statement: its text, and a letter for each parameter: `n` int8, `b` bytea,
/// `N` int8[], `B` bytea[].
struct statement {
  const char* types;
  const char* text;
};

const statement& text_of(sql which);

}  // namespace troupe::store::postgres
