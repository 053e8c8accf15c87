#include <set>

#include "store/checks.hpp"
#include "store/codec.hpp"
#include "store/sqlite_engine.hpp"

// Records, turns and calls.
namespace troupe::store {

namespace {

// The flags of a call, in one column.
constexpr std::int64_t flag_once = 1;
constexpr std::int64_t flag_reply = 2;
constexpr std::int64_t flag_bulk = 4;
constexpr std::int64_t flag_attempted = 8;
// Above them stands the number of its campaign, or of its event.
constexpr unsigned number_bits = 8;

std::int64_t flags_of(const call& c) {
  return (c.policy == call_policy::at_most_once ? flag_once : 0) |
         (c.reply ? flag_reply : 0) | (c.bulk ? flag_bulk : 0) |
         (c.attempted ? flag_attempted : 0) |
         static_cast<std::int64_t>((c.bulk ? c.campaign : c.event)
                                   << number_bits);
}

sqlite_value or_null(const std::optional<std::int64_t>& n) {
  return n ? sqlite_value{*n} : sqlite_value{nullptr};
}

error bad_labels(const chat_key& key) {
  return {errc::corrupt,
          "the labels of chat " + to_string(key) + " make no sense"};
}

}  // namespace

// -- records ------------------------------------------------------------------

result<std::vector<chat_record>> sqlite_engine::load(
    const std::vector<chat_key>& keys) {
  std::vector<chat_record> out;
  out.reserve(keys.size());
  const auto now = to_ms(time_.wall());
  for (const auto& key : keys) {
    auto& r = out.emplace_back(chat_record{key, 0, {}, {}, {}, {}, {}, false});
    auto rows = sql_.chat.query(kt(key), key.id);
    if (!rows.next())
      continue;
    r.version = static_cast<std::uint64_t>(rows.integer(0));
    auto labels = decode_labels(rows.bytes(4));
    if (!labels)
      return bad_labels(key);
    r.labels = std::move(*labels);
    r.expired = rows.integer(1) != 0 && rows.integer(1) <= now;
    if (r.expired)
      continue;
    r.mode = rows.text(2);
    r.memo = rows.text(3);
    r.state = rows.text(5);
    if (rows.integer(1) != 0)
      r.expires = from_ms(rows.integer(1));
  }
  return finish(std::move(out));
}

std::optional<std::vector<label>> sqlite_engine::labels_of(
    const chat_key& key) {
  auto rows = sql_.chat_labels.query(kt(key), key.id);
  if (!rows.next())
    return std::vector<label>{};
  auto labels = decode_labels(rows.bytes(0));
  if (!labels)
    db_.fail(bad_labels(key));
  return labels;
}

std::optional<std::string> sqlite_engine::new_labels(const turn& t) {
  std::optional<std::vector<label>> labels;
  for (const auto& c : t.calls) {
    if (c.label.empty())
      continue;
    if (!labels)
      labels = labels_of(t.key);
    if (!labels)
      return std::nullopt;
    put_label(*labels, c.label, c.id);
  }
  if (!labels)
    return std::nullopt;
  return encode_labels(*labels);
}

result<> sqlite_engine::put_record(const turn& t) {
  const auto labels = new_labels(t);
  const auto expires = new_expiry(t, time_.wall());
  std::int64_t changed = 0;
  if (t.version == 0) {
    changed = sql_.new_chat.run(kt(t.key), t.key.id, or_null(expires), t.mode,
                                t.memo, labels, t.state);
    counts_[chats] += static_cast<std::uint64_t>(changed);
  } else {
    changed = sql_.next_chat.run(kt(t.key), t.key.id, or_null(expires), t.mode,
                                 t.memo, labels, t.state, as_column(t.version));
  }
  if (db_.failure())
    return failed();
  if (changed == 1)
    return {};
  auto rows = sql_.chat.query(kt(t.key), t.key.id);
  return wrong_version(
      t, rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0);
}

// -- turns --------------------------------------------------------------------

result<std::vector<turn_receipt>> sqlite_engine::commit(
    const lease& held, const std::vector<turn>& turns) {
  if (auto ok = check_commit(held, turns, shards_); !ok)
    return ok.error();
  if (!owners_.holds(held))
    return fenced(held);
  std::vector<turn_receipt> out(turns.size());
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto& t = turns[i];
    auto there = acknowledge(t);
    if (!there)
      return there.error();
    if (!*there) {
      out[i].outcome = turn_receipt::status::stale;
      continue;
    }
    dirty_counts_ = true;
    if (auto ok = put_record(t); !ok)
      return ok.error();
    for (const auto& c : t.calls)
      put_call(c, held.shard);
    put_timers(t, held.shard);
    for (const auto& n : t.notices)
      out[i].appended.push_back(append(n.type, n.to, {}, time_.wall(),
                                       make_payload(notice_body(t.key, n))));
    for (const auto& a : t.audience)
      out[i].tags_over += change_audience(a);
  }
  return finish(std::move(out));
}

result<bool> sqlite_engine::acknowledge(const turn& t) {
  auto there = t.fired ? acknowledge_timer(t) : acknowledge_entry(t);
  if (db_.failure())
    return failed();
  if (there && *there && t.dead)
    ++counts_[died];
  return there;
}

result<bool> sqlite_engine::acknowledge_entry(const turn& t) {
  const auto shard = shard_of(t.key, shards_);
  if (t.seq.value > static_cast<std::uint64_t>(tails_[shard.value]))
    return false;
  const auto id = journal_id(shard, t.seq);
  if (t.dead)
    sql_.entry_died.run(id, std::int64_t{shard.value}, to_ms(time_.wall()),
                        *t.dead);
  if (sql_.drop_entry.run(id, kt(t.key), t.key.id) == 1) {
    --counts_[journal];
    return true;
  }
  auto rows = sql_.entry_key.query(id);
  if (rows.next())
    return wrong_chat(t, key_of(rows.integer(0), rows.integer(1)));
  return false;
}

result<bool> sqlite_engine::acknowledge_timer(const turn& t) {
  timer stored = *t.fired;
  const auto due = to_ms(stored.due);
  if (t.dead) {
    auto rows = sql_.timer_body.query(kt(t.key), t.key.id, stored.name, due);
    if (!rows.next())
      return false;
    stored.body = rows.text(0);
  }
  if (sql_.fire_timer.run(kt(t.key), t.key.id, stored.name, due) == 0)
    return false;
  --counts_[timed];
  const auto shard = shard_of(t.key, shards_);
  next_due_[shard.value].reset();
  if (t.dead)
    sql_.put_dead.run(std::int64_t{shard.value},
                      static_cast<std::int64_t>(entry_kind::timer), kt(t.key),
                      t.key.id, due, to_ms(time_.wall()), *t.dead,
                      store::timer_body(stored));
  return true;
}

void sqlite_engine::put_call(const call& c, shard_id shard) {
  sql_.put_call.run(std::int64_t{shard.value}, as_column(c.id.value),
                    kt(c.from), c.from.id, kt(c.to), c.to.id, flags_of(c),
                    to_ms(c.at), c.method, c.label, c.target, *c.body);
  ++counts_[outboxed];
}

void sqlite_engine::put_timers(const turn& t, shard_id shard) {
  auto& next = next_due_[shard.value];
  for (const auto& name : t.cancel) {
    const auto gone = sql_.drop_timer.run(kt(t.key), t.key.id, name);
    counts_[timed] -= static_cast<std::uint64_t>(gone);
    if (gone > 0)
      next.reset();
  }
  for (const auto& s : t.set) {
    const auto due = to_ms(s.due);
    if (sql_.move_timer.run(kt(t.key), t.key.id, s.name, due, s.body) == 1) {
      next.reset();
      continue;
    }
    sql_.put_timer.run(kt(t.key), t.key.id, s.name, std::int64_t{shard.value},
                       due, s.body);
    ++counts_[timed];
    if (next && due < *next)
      next = due;
  }
}

// -- calls --------------------------------------------------------------------

result<std::vector<call>> sqlite_engine::read_calls(shard_id shard,
                                                    std::int64_t after,
                                                    std::int64_t last,
                                                    std::size_t limit,
                                                    std::vector<call> into) {
  auto rows =
      sql_.calls.query(std::int64_t{shard.value}, after, last, as_limit(limit));
  while (rows.next()) {
    const auto flags = rows.integer(5);
    const bool bulk = (flags & flag_bulk) != 0;
    const auto number = static_cast<std::uint64_t>(flags) >> number_bits;
    call c{{static_cast<std::uint64_t>(rows.integer(0))},
           key_of(rows.integer(1), rows.integer(2)),
           key_of(rows.integer(3), rows.integer(4)),
           rows.text(7),
           make_payload(rows.text(10)),
           rows.text(8),
           rows.text(9),
           (flags & flag_once) != 0 ? call_policy::at_most_once
                                    : call_policy::resend,
           (flags & flag_reply) != 0,
           bulk,
           (flags & flag_attempted) != 0,
           from_ms(rows.integer(6)),
           bulk ? number : 0,
           bulk ? 0 : number};
    into.push_back(std::move(c));
  }
  return finish(std::move(into));
}

result<std::vector<call>> sqlite_engine::outbox(shard_id shard, call_id after,
                                                std::size_t limit) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  if (after.value >= static_cast<std::uint64_t>(never))
    return std::vector<call>{};
  return read_calls(shard, as_column(after.value), never, limit);
}

result<std::vector<call>> sqlite_engine::calls(
    shard_id shard, const std::vector<call_id>& wanted) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  std::vector<call> out;
  for (const auto id : std::set<call_id>{wanted.begin(), wanted.end()}) {
    if (id.value == 0 || id.value > static_cast<std::uint64_t>(never))
      continue;
    auto more = read_calls(shard, as_column(id.value) - 1, as_column(id.value),
                           1, std::move(out));
    if (!more)
      return more;
    out = std::move(*more);
  }
  return out;
}

result<std::vector<std::optional<entry>>> sqlite_engine::settle(
    const lease& held, const std::vector<settlement>& outcomes) {
  if (auto ok = check_settle(held, outcomes, shards_); !ok)
    return ok.error();
  if (!owners_.holds(held))
    return fenced(held);
  std::vector<std::optional<entry>> out(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& s = outcomes[i];
    const std::int64_t shard{held.shard.value};
    const auto id = as_column(s.id.value);
    if (!is_final(s.outcome)) {
      if (sql_.mark_call.run(shard, id, flag_attempted) == 1)
        note_spent(s);
    } else if (sql_.drop_call.run(shard, id) == 1) {
      --counts_[outboxed];
      dirty_counts_ = true;
      out[i] = end_call(s);
    }
  }
  return finish(std::move(out));
}

// Labels that can't be read cost edits of this chat's messages, not the
// settling of all the others' calls: its next commit fails, and says so.
void sqlite_engine::note_sent(const settlement& s) {
  std::optional<std::vector<label>> labels;
  {
    auto rows = sql_.chat_labels.query(kt(s.from), s.from.id);
    if (!rows.next())
      return;
    labels = decode_labels(rows.bytes(0));
  }
  if (labels && note_message(*labels, s))
    sql_.put_labels.run(kt(s.from), s.from.id, encode_labels(*labels));
}

void sqlite_engine::note_spent(const settlement& s) {
  if (s.spent > 0 && s.to.is_group())
    sql_.put_spending.run(to_ms(s.spent_at), kt(s.to), s.to.id,
                          std::int64_t{s.spent});
}

std::optional<entry> sqlite_engine::end_call(const settlement& s) {
  if (s.outcome == call_outcome::sent && !s.label.empty())
    note_sent(s);
  note_spent(s);
  if (s.audience)
    change_audience(*s.audience);
  if (s.joined)
    change_audience(*s.joined);
  if (s.campaign != 0) {
    campaign_tally one;
    add_outcome(one, s);
    sql_.put_tally.run(as_column(s.campaign), as_column(one.sent),
                       as_column(one.failed), as_column(one.blocked),
                       as_column(one.unknown));
  }
  if (s.dead && s.dead_body) {
    sql_.put_dead.run(std::int64_t{shard_of(s.from, shards_).value},
                      static_cast<std::int64_t>(entry_kind::call), kt(s.from),
                      s.from.id, to_ms(s.spent_at), to_ms(time_.wall()),
                      *s.dead, *s.dead_body);
    ++counts_[died];
  }
  if (!s.event)
    return std::nullopt;
  return append(entry_kind::outcome, s.from, {}, time_.wall(), s.event);
}

}  // namespace troupe::store
