#include <algorithm>
#include <limits>
#include <set>

#include "store/checks.hpp"
#include "store/codec.hpp"
#include "store/postgres_engine.hpp"

// What only reads. Each runs twice: `ask` first notes the question, then gives
// its answer; the questions of both times are the same.
namespace troupe::store::postgres {

namespace {

constexpr auto last_number =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
constexpr std::int64_t counted_exactly = 20'000;

template <class Id>
std::vector<std::int64_t> numbers_of(const std::vector<Id>& wanted) {
  std::vector<std::int64_t> out;
  for (const auto id : std::set<Id>{wanted.begin(), wanted.end()})
    if (id.value <= last_number)
      out.push_back(as_column(id.value));
  return out;
}

request named(sql what, shard_id shard, const std::vector<std::int64_t>& ids) {
  auto out = request::of(what, std::int64_t{shard.value});
  out.numbers(ids);
  return out;
}

result<std::vector<entry>> entries_in(const result<table>& t) {
  if (!t)
    return t.error();
  std::vector<entry> out;
  for (int i = 0; i < t->rows(); ++i)
    out.push_back({{static_cast<std::uint64_t>(t->integer(i, 0))},
                   static_cast<entry_kind>(t->integer(i, 1)),
                   key_of(t->integer(i, 2), t->integer(i, 3)),
                   {t->integer(i, 4)},
                   from_ms(t->integer(i, 5)),
                   make_payload(t->text(i, 6))});
  return out;
}

result<std::vector<call>> calls_in(const result<table>& t) {
  if (!t)
    return t.error();
  std::vector<call> out;
  for (int i = 0; i < t->rows(); ++i) {
    const auto flags = t->integer(i, 5);
    const bool bulk = (flags & flag_bulk) != 0;
    const auto number = static_cast<std::uint64_t>(flags) >> number_bits;
    out.push_back({{static_cast<std::uint64_t>(t->integer(i, 0))},
                   key_of(t->integer(i, 1), t->integer(i, 2)),
                   key_of(t->integer(i, 3), t->integer(i, 4)),
                   t->text(i, 7),
                   make_payload(t->text(i, 10)),
                   t->text(i, 8),
                   t->text(i, 9),
                   (flags & flag_once) != 0 ? call_policy::at_most_once
                                            : call_policy::resend,
                   (flags & flag_reply) != 0,
                   bulk,
                   (flags & flag_attempted) != 0,
                   from_ms(t->integer(i, 6)),
                   bulk ? number : 0,
                   bulk ? 0 : number});
  }
  return out;
}

}  // namespace

result<std::vector<entry>> postgres_engine::backlog(shard_id shard,
                                                    seq_no after,
                                                    std::size_t limit) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  if (after.value >= last_number)
    return std::vector<entry>{};
  return entries_in(ask(request::of(sql::backlog, std::int64_t{shard.value},
                                    as_column(after.value), as_limit(limit))));
}

result<std::vector<entry>> postgres_engine::entries(
    shard_id shard, const std::vector<seq_no>& wanted) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  return entries_in(ask(named(sql::entries, shard, numbers_of(wanted))));
}

result<std::vector<call>> postgres_engine::outbox(shard_id shard, call_id after,
                                                  std::size_t limit) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  if (after.value >= last_number)
    return std::vector<call>{};
  return calls_in(ask(request::of(sql::outbox, std::int64_t{shard.value},
                                  as_column(after.value), as_limit(limit))));
}

result<std::vector<call>> postgres_engine::calls(
    shard_id shard, const std::vector<call_id>& wanted) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  return calls_in(ask(named(sql::calls, shard, numbers_of(wanted))));
}

result<std::vector<chat_record>> postgres_engine::load(
    const std::vector<chat_key>& keys) {
  std::vector<chat_record> out;
  columns wanted{sql::load};
  for (const auto& key : keys) {
    wanted.add(kt(key), key.id);
    out.push_back(chat_record{key, 0, {}, {}, {}, {}, {}, false});
  }
  const auto t = ask(wanted.take());
  if (!t)
    return t.error();
  const auto now = to_ms(time_.wall());
  for (int i = 0; i < t->rows(); ++i) {
    auto& r = out.at(static_cast<std::size_t>(t->integer(i, 0) - 1));
    r.version = static_cast<std::uint64_t>(t->integer(i, 1));
    auto labels = decode_labels(t->bytes(i, 5));
    if (!labels)
      return error{errc::corrupt,
                   "the labels of chat " + to_string(r.key) + " make no sense"};
    r.labels = std::move(*labels);
    const auto expires = t->integer(i, 2);
    r.expired = expires != 0 && expires <= now;
    if (r.expired)
      continue;
    r.mode = t->text(i, 3);
    r.memo = t->text(i, 4);
    r.state = t->text(i, 6);
    if (expires != 0)
      r.expires = from_ms(expires);
  }
  return out;
}

result<std::vector<spending>> postgres_engine::spent(wall_time since) {
  const auto from = std::max(since, time_.wall() - spending_window);
  const auto t = ask(request::of(sql::spent, to_ms(from)));
  if (!t)
    return t.error();
  std::vector<spending> out;
  for (int i = 0; i < t->rows(); ++i)
    out.push_back({key_of(t->integer(i, 1), t->integer(i, 2)),
                   from_ms(t->integer(i, 0)),
                   static_cast<std::uint16_t>(t->integer(i, 3))});
  return out;
}

result<backend::due_timers> postgres_engine::due(
    const std::vector<shard_id>& asked, wall_time now, std::size_t limit) {
  if (auto ok = check_shards(asked, shards_); !ok)
    return ok.error();
  const auto of = numbers_of(asked);
  // One more than asked for, to learn when it is due.
  request first{sql::due};
  first.numbers(of);
  first.scalar(to_ms(now));
  first.scalar(as_limit(limit) + 1);
  request second{sql::next_due};
  second.numbers(of);
  second.scalar(to_ms(now));
  const auto found = ask(std::move(first));
  const auto next = ask(std::move(second));
  if (!found || !next)
    return (found ? next : found).error();
  backend::due_timers out;
  for (int i = 0; i < found->rows(); ++i)
    out.due.push_back({key_of(found->integer(i, 0), found->integer(i, 1)),
                       found->text(i, 2), from_ms(found->integer(i, 3)),
                       found->text(i, 4)});
  if (out.due.size() > limit) {
    out.next = out.due[limit].due;
    out.due.resize(limit);
  } else if (next->rows() > 0 && !next->null(0, 0)) {
    out.next = from_ms(next->integer(0, 0));
  }
  return out;
}

result<std::vector<timer>> postgres_engine::timers(const chat_key& key) {
  const auto t = ask(request::of(sql::timers, kt(key), key.id));
  if (!t)
    return t.error();
  std::vector<timer> out;
  for (int i = 0; i < t->rows(); ++i)
    out.push_back(
        {key, t->text(i, 0), from_ms(t->integer(i, 1)), t->text(i, 2)});
  return out;
}

result<std::vector<dead_letter>> postgres_engine::dead_letters(
    dead_letter_id after, std::size_t limit) {
  std::vector<dead_letter> out;
  if (after.value >= last_number)
    return out;
  const auto t = ask(
      request::of(sql::dead_letters, as_column(after.value), as_limit(limit)));
  if (!t)
    return t.error();
  for (int i = 0; i < t->rows(); ++i)
    out.push_back(dead_letter_of(*t, i));
  return out;
}

result<std::vector<campaign_tally>> postgres_engine::tallies(
    const std::vector<std::uint64_t>& campaigns) {
  request wanted{sql::tallies};
  std::vector<std::int64_t> numbers;
  for (const auto n : campaigns)
    numbers.push_back(as_column(n));
  wanted.numbers(numbers);
  const auto t = ask(std::move(wanted));
  if (!t)
    return t.error();
  std::vector<campaign_tally> out(campaigns.size());
  for (int i = 0; i < t->rows(); ++i) {
    auto& one = out.at(static_cast<std::size_t>(t->integer(i, 0) - 1));
    int column = 1;
    for (auto* n : {&one.sent, &one.failed, &one.blocked, &one.unknown})
      *n = static_cast<std::uint64_t>(t->integer(i, column++));
  }
  return out;
}

result<figures> postgres_engine::stats() {
  const auto t = ask(request::of(sql::stats, counted_exactly));
  if (!t)
    return t.error();
  const auto number = [&](int row) {
    return static_cast<std::uint64_t>(t->integer(row, 0));
  };
  figures f{number(0), number(1), number(2), number(3), number(4), 0, 0};
  for (int i = 0; i < t->rows(); ++i)
    f.bytes += static_cast<std::uint64_t>(t->integer(i, 1));
  return f;
}

// -- nodes --------------------------------------------------------------------

result<std::vector<node_info>> postgres_engine::heartbeat(const node_info& me,
                                                          milliseconds ttl) {
  const auto put = ask(request::of(sql::heartbeat, me.name, me.address,
                                   me.details, std::int64_t{ttl.count()}));
  const auto t = ask(request::of(sql::alive, me.name));
  if (!put || !t)
    return (put ? t : put).error();
  std::vector<node_info> out;
  for (int i = 0; i < t->rows(); ++i)
    out.push_back({t->text(i, 0), t->text(i, 1), t->text(i, 2)});
  return out;
}

result<> postgres_engine::leave(const std::string& name) {
  const auto t = ask(request::of(sql::leave, name));
  if (!t)
    return t.error();
  return {};
}

}  // namespace troupe::store::postgres
