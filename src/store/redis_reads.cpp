#include <algorithm>
#include <charconv>

#include "store/redis_parts.hpp"

namespace troupe::store::redis {

namespace {

std::string limit_text(std::size_t limit) {
  constexpr std::size_t most = 1'000'000'000;
  return std::to_string(std::min(limit, most));
}

result<entry> entry_of(reading& in, const char* op) {
  const auto seq = in.number();
  const auto head = in.text();
  auto e = read_entry(head, in.text());
  if (!in.good() || !e)
    return malformed(op);
  e->seq = {seq};
  return std::move(*e);
}

}  // namespace

// -- reading ------------------------------------------------------------------

part backlog_part(shard_id shard, seq_no after, std::size_t limit) {
  auto p = make_part("backlog", shard, false);
  p.add(after.value).add(limit_text(limit));
  return p;
}

part entries_part(shard_id shard, const std::vector<seq_no>& wanted) {
  auto sorted = wanted;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  auto p = make_part("entries", shard, false);
  p.add(sorted.size());
  for (auto seq : sorted)
    p.add(seq.value);
  return p;
}

result<std::vector<entry>> read_entries(reading in) {
  std::vector<entry> out;
  reading all{in.list()};
  while (all.more()) {
    reading one{all.list()};
    auto e = entry_of(one, "backlog");
    if (!e)
      return e.error();
    out.push_back(std::move(*e));
  }
  if (!in.good() || !all.good())
    return malformed("backlog");
  return out;
}

part load_part(shard_id shard, const chat_key& key) {
  auto p = make_part("load", shard, false);
  p.add(to_string(key));
  p.plain_key = "c:" + to_string(key);
  return p;
}

namespace {

bool read_label(label& out, std::string_view name, std::string_view value) {
  const auto gap = value.find(' ');
  const auto id = read_call_id(value.substr(0, gap));
  if (gap == value.npos || !id)
    return false;
  const auto text = value.substr(gap + 1);
  const auto* end = text.data() + text.size();
  out.name = name;
  out.call = *id;
  const auto [stopped, ec] = std::from_chars(text.data(), end, out.message_id);
  return ec == std::errc{} && stopped == end;
}

}  // namespace

result<chat_record> read_record(reading in, const chat_key& key,
                                wall_time now) {
  chat_record r;
  r.key = key;
  reading fields{in.list()};
  while (fields.more()) {
    const auto name = fields.text();
    auto value = fields.text();
    if (name == "v") {
      r.version = read_u64(value).value_or(0);
    } else if (name == "s") {
      r.state = std::move(value);
    } else if (name == "m") {
      r.mode = std::move(value);
    } else if (name == "e") {
      r.memo = std::move(value);
    } else if (name == "x") {
      r.expires = from_ms(std::int64_t(read_u64(value).value_or(0)));
    } else if (label l;
               name.starts_with("l:") && read_label(l, name.substr(2), value)) {
      r.labels.push_back(std::move(l));
    } else {
      return error{errc::corrupt, "chat " + to_string(key) + ": its field " +
                                      name + " makes no sense"};
    }
  }
  if (!in.good() || !fields.good())
    return malformed("load");
  std::sort(r.labels.begin(), r.labels.end(),
            [](const label& a, const label& b) { return a.name < b.name; });
  r.expired = r.expires && *r.expires <= now;
  if (r.expired) {
    r.state = r.mode = r.memo = "";
    r.expires.reset();
  }
  return r;
}

part outbox_part(shard_id shard, call_id after, std::size_t limit) {
  auto p = make_part("outbox", shard, false);
  p.add(call_id_text(after)).add(limit_text(limit));
  return p;
}

part calls_part(shard_id shard, const std::vector<call_id>& wanted) {
  auto sorted = wanted;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  auto p = make_part("calls", shard, false);
  p.add(sorted.size());
  for (auto id : sorted)
    p.add(call_id_text(id));
  return p;
}

result<std::vector<call>> read_calls(reading in) {
  std::vector<call> out;
  reading all{in.list()};
  while (all.more()) {
    const auto id = all.text();
    auto c = read_call(id, all.text());
    if (!c)
      return malformed("outbox");
    out.push_back(std::move(*c));
  }
  if (!in.good() || !all.good())
    return malformed("outbox");
  return out;
}

part spent_part(shard_id shard, wall_time since) {
  auto p = make_part("spent", shard, false);
  p.add_signed(to_ms(since));
  return p;
}

result<std::vector<spending>> read_spent(reading in) {
  std::vector<spending> out;
  reading all{in.list()};
  while (all.more()) {
    // "<group> <messages> <call> ...", then when.
    const auto what = all.text();
    const auto at = all.number();
    const auto gap = what.find(' ');
    const auto key = parse_chat_key(what.substr(0, gap));
    const auto n = gap == what.npos
                       ? std::nullopt
                       : read_u64(std::string_view{what}.substr(
                             gap + 1, what.find(' ', gap + 1) - gap - 1));
    if (!key || !n)
      return malformed("spent");
    const spending one{*key, from_ms(std::int64_t(at)),
                       static_cast<std::uint16_t>(*n)};
    if (!out.empty() && out.back().to == one.to && out.back().at == one.at)
      out.back().messages =
          static_cast<std::uint16_t>(out.back().messages + one.messages);
    else
      out.push_back(one);
  }
  if (!in.good() || !all.good())
    return malformed("spent");
  return out;
}

// -- timers -------------------------------------------------------------------

part due_part(shard_id shard, wall_time now, std::size_t limit) {
  auto p = make_part("due", shard, false);
  p.add_signed(to_ms(now)).add(limit_text(limit));
  return p;
}

namespace {

// "<due, ms> <body>"
bool read_timer(timer& out, std::string_view kept) {
  const auto gap = kept.find(' ');
  if (gap == kept.npos)
    return false;
  std::int64_t ms = 0;
  const auto [stopped, ec] =
      std::from_chars(kept.data(), kept.data() + gap, ms);
  out.due = from_ms(ms);
  out.body = kept.substr(gap + 1);
  return ec == std::errc{} && stopped == kept.data() + gap;
}

}  // namespace

result<backend::due_timers> read_due(reading in) {
  backend::due_timers out;
  reading all{in.list()};
  while (all.more()) {
    const auto key = parse_chat_key(all.text());
    timer t;
    t.name = all.text();
    if (!read_timer(t, all.text()) || !key)
      return malformed("due");
    t.key = *key;
    out.due.push_back(std::move(t));
  }
  if (const auto next = in.number_or_nil())
    out.next = from_ms(std::int64_t(*next));
  if (!in.good() || !all.good())
    return malformed("due");
  return out;
}

backend::due_timers merge_due(std::vector<backend::due_timers> all,
                              std::size_t limit) {
  backend::due_timers out;
  for (auto& one : all) {
    std::move(one.due.begin(), one.due.end(), std::back_inserter(out.due));
    if (one.next && (!out.next || *one.next < *out.next))
      out.next = one.next;
  }
  std::stable_sort(
      out.due.begin(), out.due.end(),
      [](const timer& a, const timer& b) { return a.due < b.due; });
  if (out.due.size() > limit) {
    if (!out.next || out.due[limit].due < *out.next)
      out.next = out.due[limit].due;
    out.due.resize(limit);
  }
  return out;
}

part timers_part(shard_id shard, const chat_key& key) {
  auto p = make_part("timers", shard, false);
  p.add(to_string(key));
  return p;
}

result<std::vector<timer>> read_timers(reading in, const chat_key& key) {
  std::vector<timer> out;
  reading all{in.list()};
  while (all.more()) {
    timer t;
    t.key = key;
    t.name = all.text();
    if (!read_timer(t, all.text()))
      return malformed("timers");
    out.push_back(std::move(t));
  }
  if (!in.good() || !all.good())
    return malformed("timers");
  std::sort(out.begin(), out.end(),
            [](const timer& a, const timer& b) { return a.name < b.name; });
  return out;
}

// -- dead letters -------------------------------------------------------------

namespace {

constexpr unsigned shard_bits = 16;

std::uint64_t moment_of(dead_letter_id id) {
  return id.value >> shard_bits;
}

dead_letter_id dead_id(std::uint64_t moment, shard_id shard) {
  return {moment << shard_bits | shard.value};
}

part named_dead(const char* op, shard_id shard,
                const std::vector<dead_letter_id>& which) {
  auto sorted = which;
  std::sort(sorted.begin(), sorted.end());
  auto p = make_part(op, shard, true);
  p.add(sorted.size());
  for (auto id : sorted)
    p.add(moment_of(id));
  return p;
}

}  // namespace

shard_id shard_of_dead(dead_letter_id id) noexcept {
  return {static_cast<std::uint16_t>(id.value & 0xffff)};
}

std::map<shard_id, std::vector<dead_letter_id>> by_shard(
    const std::vector<dead_letter_id>& which, std::uint16_t shards) {
  std::map<shard_id, std::vector<dead_letter_id>> out;
  for (auto id : which)
    if (shard_of_dead(id).value < shards)
      out[shard_of_dead(id)].push_back(id);
  return out;
}

part dead_letters_part(shard_id shard, dead_letter_id after,
                       std::size_t limit) {
  // Those of the same moment are above only in shards with a higher number.
  auto moment = moment_of(after);
  if (moment > 0 && shard.value > shard_of_dead(after).value)
    --moment;
  auto p = make_part("dead_letters", shard, false);
  p.add(moment).add(limit_text(limit));
  return p;
}

result<std::vector<dead_letter>> read_dead_letters(reading in, shard_id shard) {
  std::vector<dead_letter> out;
  reading all{in.list()};
  while (all.more()) {
    reading one{all.list()};
    const auto moment = one.number();
    const auto head = one.text();
    auto e = read_entry(head, one.text());
    auto why = one.text();
    const auto died = one.number();
    if (!one.good() || !e)
      return malformed("dead_letters");
    out.push_back({dead_id(moment, shard), shard, e->type, e->key, e->id,
                   e->accepted_at, from_ms(std::int64_t(died)), std::move(why),
                   std::move(e->body)});
  }
  if (!in.good() || !all.good())
    return malformed("dead_letters");
  return out;
}

part retry_part(shard_id shard, const std::vector<dead_letter_id>& which) {
  return named_dead("retry", shard, which);
}

part drop_part(shard_id shard, const std::vector<dead_letter_id>& which) {
  return named_dead("drop", shard, which);
}

result<std::vector<retried>> read_retry(reading in, shard_id shard) {
  std::vector<retried> out;
  reading all{in.list()};
  while (all.more()) {
    reading one{all.list()};
    const auto id = dead_id(one.number(), shard);
    auto e = entry_of(one, "retry");
    if (!e)
      return e.error();
    out.push_back({id, std::move(*e)});
  }
  if (!in.good() || !all.good())
    return malformed("retry");
  return out;
}

// -- figures -----------------------------------------------------

part tallies_part(shard_id shard, const std::vector<std::uint64_t>& campaigns) {
  auto p = make_part("tallies", shard, false);
  p.add(campaigns.size());
  for (const auto c : campaigns)
    p.add(c);
  return p;
}

result<> read_tallies(reading in, std::vector<campaign_tally>& into) {
  for (auto& one : into)
    for (auto* n : {&one.sent, &one.failed, &one.blocked, &one.unknown})
      *n += in.number();
  return in.good() ? result<>{} : result<>{malformed("tallies")};
}

part stats_part(shard_id shard) {
  return make_part("stats", shard, false);
}

result<> read_stats(reading in, store::figures& sum) {
  for (auto* n :
       {&sum.journal, &sum.outbox, &sum.timers, &sum.chats, &sum.dead_letters})
    *n += in.number();
  return in.good() ? result<>{} : result<>{malformed("stats")};
}

}  // namespace troupe::store::redis
