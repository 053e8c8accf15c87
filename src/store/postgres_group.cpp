#include "store/postgres_group.hpp"

#include "store/checks.hpp"

namespace troupe::store::postgres {

namespace {

template <class Set>
void ask_numbers(std::vector<request>& out, sql what, const Set& of) {
  if (of.empty())
    return;
  out.push_back(request{what});
  out.back().numbers({of.begin(), of.end()});
}

void ask_places(std::vector<request>& out, sql what,
                const std::set<place>& of) {
  columns all{what};
  for (const auto& [shard, n] : of)
    all.add(std::int64_t{shard}, n);
  if (!all.empty())
    out.push_back(all.take());
}

void add(std::vector<request>& out, columns& of) {
  if (!of.empty())
    out.push_back(of.take());
}

shard_number shard_at(const table& t, int row, int column = 0) {
  return static_cast<shard_number>(t.integer(row, column));
}

void put_owners(std::vector<request>& out, const std::set<shard_number>& which,
                const findings& now) {
  columns all{sql::put_owners};
  for (const auto s : which) {
    const auto& o = now.owners.at(s);
    all.add(std::int64_t{s}, o.term, o.till, o.node);
  }
  add(out, all);
}

void put_sequences(std::vector<request>& out, const changes& c,
                   const findings& now) {
  columns tails{sql::put_tails};
  for (const auto s : c.tails)
    tails.add(std::int64_t{s}, now.tails.at(s));
  add(out, tails);
  columns seen{sql::put_seen};
  for (const auto& p : c.seen) {
    const auto& row = now.seen.at(p);
    seen.add(std::int64_t{p.first}, p.second, to_ms(row.touched),
             row.ids.bytes());
  }
  add(out, seen);
}

void put_chats(std::vector<request>& out, const changes& c) {
  columns all{sql::put_chats};
  for (const auto& [key, n] : c.chats)
    all.add(kt(key), key.id, as_column(n.version), n.expires, n.mode, n.memo,
            n.labels, n.state);
  add(out, all);
}

void put_calls(std::vector<request>& out, const changes& c) {
  columns all{sql::put_calls};
  for (const auto& [at, one] : c.calls)
    all.add(std::int64_t{at.first}, at.second, kt(one.from), one.from.id,
            kt(one.to), one.to.id, flags_of(one), to_ms(one.at), one.method,
            one.label, one.target, *one.body);
  add(out, all);
  ask_places(out, sql::mark_calls, c.attempted);
  ask_places(out, sql::drop_calls, c.settled);
}

void put_timers(std::vector<request>& out, const changes& c,
                const findings& now, std::uint16_t shards) {
  columns set{sql::put_timers};
  columns gone{sql::drop_timers};
  for (const auto& name : c.timers) {
    const auto& [key, text] = name;
    const auto found = now.timers.find(name);
    if (found == now.timers.end())
      gone.add(kt(key), key.id, text);
    else
      set.add(kt(key), key.id, text, std::int64_t{shard_of(key, shards).value},
              to_ms(found->second.due), found->second.body);
  }
  add(out, set);
  add(out, gone);
}

template <class Members>
void put_members(std::vector<request>& out, sql how, const Members& of) {
  columns all{how};
  for (const auto& [key, m] : of)
    all.add(kt(key), key.id, static_cast<std::int64_t>(m.first.status),
            m.first.language, to_ms(m.second));
  add(out, all);
}

void put_tags(std::vector<request>& out, const changes& c,
              const findings& now) {
  columns put{sql::put_tags};
  columns gone{sql::drop_tags};
  for (const auto& key : c.tags) {
    const auto found = now.tags.find(key);
    if (found == now.tags.end() || found->second.empty())
      gone.add(kt(key), key.id);
    else
      put.add(kt(key), key.id, join_tags(found->second));
  }
  add(out, put);
  add(out, gone);
}

void ask_chats(std::vector<request>& out, sql what,
               const std::set<chat_key>& of) {
  columns all{what};
  for (const auto& key : of)
    all.add(kt(key), key.id);
  add(out, all);
}

void put_people(std::vector<request>& out, const changes& c,
                const findings& now) {
  put_members(out, sql::new_members, c.newcomers);
  put_members(out, sql::put_members, c.members);
  put_tags(out, c, now);
  columns spent{sql::put_spending};
  for (const auto& [what, messages] : c.spending)
    spent.add(to_ms(what.first), kt(what.second), what.second.id, messages);
  add(out, spent);
  columns tallied{sql::put_tallies};
  for (const auto& [of, n] : c.tallies)
    tallied.add(as_column(of.first), std::int64_t{of.second}, as_column(n.sent),
                as_column(n.failed), as_column(n.blocked),
                as_column(n.unknown));
  add(out, tallied);
}

}  // namespace

std::int64_t flags_of(const call& c) {
  return (c.policy == call_policy::at_most_once ? flag_once : 0) |
         (c.reply ? flag_reply : 0) | (c.bulk ? flag_bulk : 0) |
         (c.attempted ? flag_attempted : 0) |
         as_column((c.bulk ? c.campaign : c.event) << number_bits);
}

std::vector<request> changes::flush(const findings& now, std::uint16_t shards) {
  std::vector<request> out;
  put_owners(out, owners, now);
  put_sequences(out, *this, now);
  add(out, entries);
  add(out, died);
  ask_places(out, sql::drop_entries, acknowledged);
  put_chats(out, *this);
  put_calls(out, *this);
  put_timers(out, *this, now, shards);
  put_people(out, *this, now);
  add(out, dead);
  ask_numbers(out, sql::drop_dead, undead);
  *this = changes{};
  return out;
}

namespace {

// What commits look at: only the owner changes it, so it needs no lock. But for
// SQL that must not be done twice: then it waits for whoever has not yet ended
// the same turn.
void ask_turns(std::vector<request>& out, const needs& of) {
  const bool alone = !of.sql.empty();
  ask_places(out, alone ? sql::journal_locked : sql::journal_keys, of.journal);
  ask_chats(out, sql::chat_heads, of.chats);
  ask_places(out, sql::call_ids, of.calls);
  columns timers{alone ? sql::timer_locked : sql::timer_heads};
  for (const auto& [key, name] : of.timers)
    timers.add(kt(key), key.id, name);
  add(out, timers);
}

void ask_author(std::vector<request>& out, const needs& of,
                const std::pair<request, request>& around) {
  if (of.sql.empty())
    return;
  out.push_back(around.first);
  for (const auto& s : of.sql)
    out.push_back(request::of_author(s));
  // What is checked at the commit is checked now, while there is somebody to
  // blame.
  out.push_back(request::of_author({"SET CONSTRAINTS ALL IMMEDIATE", {}, {}}));
  out.push_back(around.second);
}

}  // namespace

std::vector<request> questions(const needs& of, request first,
                               const std::pair<request, request>& around,
                               std::uint16_t shards) {
  std::vector<request> out;
  out.emplace_back(sql::begin);
  out.push_back(std::move(first));
  ask_numbers(out, sql::owners_kept, of.owners);
  ask_numbers(out, sql::owners_changed, of.changed);
  ask_numbers(out, sql::owners_claimed, of.claimed);
  if (!of.sql.empty())
    ask_turns(out, of);
  ask_author(out, of, around);
  ask_numbers(out, sql::tails_locked, of.tails);
  out.emplace_back(sql::server_now);
  ask_numbers(out, sql::tails_peek, of.looked);
  ask_places(out, sql::seen, of.seen);
  if (of.sql.empty())
    ask_turns(out, of);
  ask_numbers(out, sql::dead_locked, of.dead);
  ask_chats(out, sql::members_locked, of.members);
  ask_chats(out, sql::tags_of, of.members);
  if (!of.forgotten.empty()) {
    out.push_back(about_chats(of.forgotten, shards));
    columns calls{sql::calls_from};
    for (const auto& [key, through] : of.forgotten)
      calls.add(kt(key), key.id, std::int64_t{shard_of(key, shards).value});
    add(out, calls);
  }
  out.insert(out.end(), of.names.begin(), of.names.end());
  return out;
}

dead_letter dead_letter_of(const table& t, int row) {
  return {{static_cast<std::uint64_t>(t.integer(row, 0))},
          {shard_at(t, row, 1)},
          static_cast<entry_kind>(t.integer(row, 2)),
          key_of(t.integer(row, 3), t.integer(row, 4)),
          {t.integer(row, 5)},
          from_ms(t.integer(row, 6)),
          from_ms(t.integer(row, 7)),
          t.text(row, 8),
          make_payload(t.text(row, 9))};
}

namespace {

void take_rows(findings& f, sql what, const table& t, int row) {
  switch (what) {
    case sql::owners_claimed:
      f.claimable.insert(shard_at(t, row));
      [[fallthrough]];
    case sql::owners_kept:
    case sql::owners_changed:
      f.owners[shard_at(t, row)] = {t.integer(row, 1), t.integer(row, 2),
                                    t.text(row, 3)};
      break;
    case sql::tails_locked:
    case sql::tails_peek: f.tails[shard_at(t, row)] = t.integer(row, 1); break;
    case sql::server_now: f.now = t.integer(row, 0); break;
    case sql::seen:
      f.seen[{shard_at(t, row), t.integer(row, 1)}] = {
          from_ms(t.integer(row, 2)), seen_ids{t.bytes(row, 3)}};
      break;
    case sql::journal_keys:
    case sql::journal_locked:
      f.journal[{shard_at(t, row), t.integer(row, 1)}] =
          key_of(t.integer(row, 2), t.integer(row, 3));
      break;
    case sql::chat_heads:
      f.chats[key_of(t.integer(row, 0), t.integer(row, 1))] = {
          static_cast<std::uint64_t>(t.integer(row, 2)), t.text(row, 3)};
      break;
    case sql::call_ids:
      f.calls.emplace(shard_at(t, row), t.integer(row, 1));
      break;
    case sql::timer_heads:
    case sql::timer_locked:
      f.timers[{key_of(t.integer(row, 0), t.integer(row, 1)), t.text(row, 2)}] =
          {from_ms(t.integer(row, 3)), t.text(row, 4)};
      break;
    case sql::dead_locked:
      f.dead.emplace(t.integer(row, 0), dead_letter_of(t, row));
      break;
    case sql::about:
      f.forgotten[key_of(t.integer(row, 0), t.integer(row, 1))] =
          holdings_of(t, row);
      break;
    case sql::calls_from:
      f.forgotten_calls.emplace(shard_at(t, row), t.integer(row, 1));
      break;
    case sql::members_locked:
      f.members.insert(key_of(t.integer(row, 0), t.integer(row, 1)));
      break;
    case sql::tags_of:
      f.tags[key_of(t.integer(row, 0), t.integer(row, 1))] =
          split_tags(t.bytes(row, 2));
      break;
    default: break;
  }
}

}  // namespace

result<findings> understood(const needs& of, const std::vector<request>& asked,
                            const std::vector<table>& answers) {
  findings f;
  for (std::size_t i = 0; i < answers.size(); ++i)
    for (int row = 0; row < answers[i].rows(); ++row)
      take_rows(f, asked[i].what(), answers[i], row);
  for (const auto* all : {&of.owners, &of.changed})
    for (const auto s : *all)
      if (!f.owners.contains(s))
        return error{errc::corrupt, "a shard has no owner's row"};
  if (answers.size() < asked.size())
    return f;  // the author's SQL failed: what comes after it is not there
  for (const auto* all : {&of.tails, &of.looked})
    for (const auto s : *all)
      if (!f.tails.contains(s))
        return error{errc::corrupt, "a shard has no sequence"};
  for (const auto& [at, row] : f.seen)
    if (!row.ids.sane())
      return error{errc::corrupt, "a block of update ids has a wrong size"};
  return f;
}

}  // namespace troupe::store::postgres
