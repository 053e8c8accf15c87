#pragma once

#include "store/sqlite_db.hpp"

namespace troupe::store {

/// Every statement of the sqlite store, prepared once. Parameters in the order
/// of their numbers; keys are (kt, kid).
struct sqlite_statements {
  explicit sqlite_statements(sqlite_db& d) : db{d} {}

  sqlite_db& db;

  sqlite_statement begin{db, "BEGIN IMMEDIATE"};
  sqlite_statement commit{db, "COMMIT"};

  // cells, terms, seen
  sqlite_statement put_cell{db, "REPLACE INTO cells VALUES(?1, ?2)"};
  sqlite_statement cells{db, "SELECT id, data FROM cells"};
  sqlite_statement put_term{db, "REPLACE INTO terms VALUES(?1, ?2)"};
  sqlite_statement terms{db, "SELECT shard, term FROM terms"};
  sqlite_statement put_seen{db, "REPLACE INTO seen VALUES(?1, ?2, ?3)"};
  sqlite_statement seen{db, "SELECT touched, bits FROM seen WHERE block = ?1"};
  sqlite_statement seen_after{
      db,
      "SELECT block, touched FROM seen WHERE block > ?1 ORDER BY block "
      "LIMIT ?2"};
  sqlite_statement drop_seen{db, "DELETE FROM seen WHERE block = ?1"};

  // journal
  sqlite_statement put_entry{
      db, "INSERT INTO journal VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"};
  sqlite_statement entries{
      db,
      "SELECT id, type, kt, kid, uid, at, body FROM journal "
      "WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"};
  sqlite_statement entry_key{db, "SELECT kt, kid FROM journal WHERE id = ?1"};
  sqlite_statement drop_entry{
      db, "DELETE FROM journal WHERE id = ?1 AND kid = ?3 AND kt = ?2"};

  // chats
  sqlite_statement chat{
      db,
      "SELECT version, expires, mode, memo, labels, state FROM chats "
      "WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement chat_labels{
      db, "SELECT labels FROM chats WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement put_labels{
      db, "UPDATE chats SET labels = ?3 WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement new_chat{
      db,
      "INSERT INTO chats VALUES(?1, ?2, 1, coalesce(?3, 0), "
      "coalesce(?4, x''), coalesce(?5, x''), coalesce(?6, x''), "
      "coalesce(?7, x'')) ON CONFLICT DO NOTHING"};
  sqlite_statement next_chat{
      db,
      "UPDATE chats SET version = version + 1, expires = coalesce(?3, expires),"
      " mode = coalesce(?4, mode), memo = coalesce(?5, memo),"
      " labels = coalesce(?6, labels), state = coalesce(?7, state) "
      "WHERE kt = ?1 AND kid = ?2 AND version = ?8"};
  sqlite_statement clear_chat{
      db,
      "UPDATE chats SET expires = 0, mode = x'', memo = x'', state = x'' "
      "WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement drop_chat{db,
                             "DELETE FROM chats WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement chats_after{
      db,
      "SELECT kt, kid, expires FROM chats WHERE (kt, kid) > (?1, ?2) "
      "ORDER BY kt, kid LIMIT ?3"};

  // outbox
  sqlite_statement put_call{
      db,
      "INSERT INTO outbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
      "?11, ?12)"};
  sqlite_statement calls{
      db,
      "SELECT id, kt, kid, to_kt, to_kid, flags, at, method, label, target, "
      "body FROM outbox WHERE shard = ?1 AND id > ?2 AND id <= ?3 "
      "ORDER BY id LIMIT ?4"};
  sqlite_statement drop_call{db,
                             "DELETE FROM outbox WHERE shard = ?1 AND id = ?2"};
  sqlite_statement mark_call{
      db, "UPDATE outbox SET flags = flags | ?3 WHERE shard = ?1 AND id = ?2"};

  // timers
  sqlite_statement timers{
      db,
      "SELECT name, due, body FROM timers WHERE kt = ?1 AND kid = ?2 "
      "ORDER BY name"};
  sqlite_statement timer_body{
      db,
      "SELECT body FROM timers WHERE kt = ?1 AND kid = ?2 AND name = ?3 "
      "AND due = ?4"};
  sqlite_statement due{
      db,
      "SELECT kt, kid, name, due, body FROM timers WHERE shard = ?1 "
      "AND due <= ?2 ORDER BY due, kt, kid, name LIMIT ?3"};
  sqlite_statement next_due{
      db, "SELECT min(due) FROM timers WHERE shard = ?1 AND due > ?2"};
  sqlite_statement fire_timer{
      db,
      "DELETE FROM timers WHERE kt = ?1 AND kid = ?2 AND name = ?3 "
      "AND due = ?4"};
  sqlite_statement drop_timer{
      db, "DELETE FROM timers WHERE kt = ?1 AND kid = ?2 AND name = ?3"};
  sqlite_statement move_timer{db,
                              "UPDATE timers SET due = ?4, body = ?5 "
                              "WHERE kt = ?1 AND kid = ?2 AND name = ?3"};
  sqlite_statement put_timer{
      db, "INSERT INTO timers VALUES(?1, ?2, ?3, ?4, ?5, ?6)"};

  // spending
  sqlite_statement put_spending{
      db,
      "INSERT INTO spending VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE "
      "SET messages = messages + excluded.messages"};
  sqlite_statement spending{
      db,
      "SELECT at, kt, kid, messages FROM spending WHERE at >= ?1 ORDER BY at"};
  sqlite_statement old_spending{db,
                                "SELECT 1 FROM spending WHERE at < ?1 LIMIT 1"};
  sqlite_statement drop_spending{db, "DELETE FROM spending WHERE at < ?1"};

  // named leases
  sqlite_statement name{
      db, "SELECT till, token, holder FROM names WHERE name = ?1"};
  sqlite_statement put_name{db, "REPLACE INTO names VALUES(?1, ?2, ?3, ?4)"};
  sqlite_statement drop_name{
      db, "DELETE FROM names WHERE name = ?1 AND holder = ?2"};
  sqlite_statement old_name{db, "SELECT 1 FROM names WHERE till < ?1 LIMIT 1"};
  sqlite_statement drop_names{
      db,
      "DELETE FROM names WHERE name IN (SELECT name FROM names WHERE till < ?1 "
      "ORDER BY till LIMIT ?2)"};
  sqlite_statement new_token{
      db,
      "INSERT INTO meta VALUES('token', ?1) ON CONFLICT DO UPDATE "
      "SET value = max(value + 1, excluded.value) RETURNING value"};

  // dead letters
  sqlite_statement entry_died{
      db,
      "INSERT INTO dead(shard, type, kt, kid, uid, accepted, died, error, "
      "body) SELECT ?2, type, kt, kid, uid, at, ?3, ?4, body FROM journal "
      "WHERE id = ?1"};
  sqlite_statement put_dead{
      db,
      "INSERT INTO dead(shard, type, kt, kid, uid, accepted, died, error, "
      "body) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8)"};
  sqlite_statement dead{
      db,
      "SELECT id, shard, type, kt, kid, uid, accepted, died, error, body "
      "FROM dead WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"};
  sqlite_statement drop_dead{db, "DELETE FROM dead WHERE id = ?1"};

  // audience
  sqlite_statement put_member{
      db,
      "INSERT INTO audience VALUES(?1, ?2, ?3, ?4, ?5, ?5) "
      "ON CONFLICT DO UPDATE SET status = excluded.status, "
      "last_seen = excluded.last_seen, language = CASE "
      "WHEN length(excluded.language) > 0 THEN excluded.language "
      "ELSE language END"};
  sqlite_statement new_member{
      db,
      "INSERT INTO audience VALUES(?1, ?2, ?3, ?4, ?5, ?5) "
      "ON CONFLICT DO NOTHING"};
  sqlite_statement is_member{
      db, "SELECT 1 FROM audience WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement members{
      db,
      "SELECT a.kt, a.kid, a.status, a.language, a.first_seen, a.last_seen, "
      "t.tags FROM audience a LEFT JOIN tags t ON t.kt = a.kt "
      "AND t.kid = a.kid WHERE (a.kt, a.kid) > (?1, ?2) "
      "ORDER BY a.kt, a.kid LIMIT ?3"};
  sqlite_statement tags{db, "SELECT tags FROM tags WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement put_tags{db, "REPLACE INTO tags VALUES(?1, ?2, ?3)"};
  sqlite_statement drop_tags{db, "DELETE FROM tags WHERE kt = ?1 AND kid = ?2"};

  // one chat
  sqlite_statement about{
      db,
      "SELECT (SELECT count(*) FROM chats WHERE kt = ?1 AND kid = ?2), "
      "(SELECT count(*) FROM journal WHERE id > ?4 AND id <= ?5 AND kt = ?1 "
      "AND kid = ?2), "
      "(SELECT count(*) FROM outbox WHERE shard = ?3 AND kt = ?1 "
      "AND kid = ?2), "
      "(SELECT count(*) FROM timers WHERE kt = ?1 AND kid = ?2), "
      "(SELECT count(*) FROM dead WHERE kt = ?1 AND kid = ?2), "
      "(SELECT count(*) FROM audience WHERE kt = ?1 AND kid = ?2)"};
  sqlite_statement drop_entries{
      db,
      "DELETE FROM journal WHERE id > ?3 AND id <= ?4 AND kt = ?1 "
      "AND kid = ?2"};
  sqlite_statement drop_calls{
      db, "DELETE FROM outbox WHERE shard = ?3 AND kt = ?1 AND kid = ?2"};
  sqlite_statement drop_timers{db,
                               "DELETE FROM timers WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement drop_letters{db,
                                "DELETE FROM dead WHERE kt = ?1 AND kid = ?2"};
  sqlite_statement drop_member{
      db, "DELETE FROM audience WHERE kt = ?1 AND kid = ?2"};

  // campaigns
  sqlite_statement put_tally{
      db,
      "INSERT INTO tallies VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE "
      "SET sent = sent + excluded.sent, failed = failed + excluded.failed, "
      "blocked = blocked + excluded.blocked, "
      "unknown = unknown + excluded.unknown"};
  sqlite_statement tally{
      db,
      "SELECT sent, failed, blocked, unknown FROM tallies WHERE campaign = ?1"};

  // sizes
  sqlite_statement page_count{db, "PRAGMA page_count"};
  sqlite_statement free_pages{db, "PRAGMA freelist_count"};
};

}  // namespace troupe::store
