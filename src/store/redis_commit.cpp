#include <algorithm>

#include "store/checks.hpp"
#include "store/redis_parts.hpp"

namespace troupe::store::redis {

namespace {

// A record goes this long after its end: whoever turned on it has committed,
// or given up, by then.
constexpr milliseconds record_grace{dedup_window};

std::string language_of(const audience_change& a) {
  std::string out = a.language;
  std::erase_if(out, [](char c) { return c <= ' ' || c > '~'; });
  return out;
}

void add_sight(part& p, const audience_change& a) {
  p.add(audience_bucket(a.key)).add(to_string(a.key));
  p.add(std::string(1, status_digit(a.status))).add(language_of(a));
}

/// Of the turn's own chat.
void add_tags(part& p, const audience_change& a) {
  p.add("g").add(audience_bucket(a.key));
  p.add(std::string(1, status_digit(a.status))).add(language_of(a));
  p.add(most_tags);
  for (const auto* all : {&a.untag, &a.tag}) {
    p.add(all->size());
    for (const auto& one : *all)
      p.add(one);
  }
}

// Audience changes of the shard itself go into the part, others into parcels.
void add_sights(part& p, const std::vector<const audience_change*>& all,
                std::uint16_t shards, std::vector<parcel>& parcels) {
  std::vector<const audience_change*> own;
  for (const auto* a : all) {
    const auto to = shard_of(a->key, shards);
    if (to == *p.shard)
      own.push_back(a);
    else
      parcels.push_back({to, std::nullopt, {}, *a});
  }
  if (own.empty())
    return;
  p.add("a").add(own.size());
  for (const auto* a : own)
    add_sight(p, *a);
}

void add_parcels(commit_plan& plan, std::size_t turn,
                 std::vector<parcel> parcels,
                 const std::vector<std::size_t>& notices) {
  if (!parcels.empty())
    plan.what.add("p").add(parcels.size());
  for (std::size_t i = 0; i < parcels.size(); ++i) {
    plan.what.add(parcels[i].to.value).add(parcel_text(parcels[i]));
    std::optional<std::size_t> notice;
    if (i < notices.size())
      notice = notices[i];
    plan.parcels.push_back({turn, notice, std::move(parcels[i])});
  }
}

void add_record(part& p, const turn& t, wall_time now) {
  std::vector<std::pair<const char*, const std::string*>> fields;
  if (t.state)
    fields.emplace_back("s", &*t.state);
  if (t.mode)
    fields.emplace_back("m", &*t.mode);
  if (t.memo)
    fields.emplace_back("e", &*t.memo);
  if (!fields.empty())
    p.add("f").add(fields.size());
  for (const auto& [name, value] : fields)
    p.add(name).add(*value);
  const auto expires = new_expiry(t, now);
  if (expires && *expires == 0)
    p.add("k");
  else if (expires)
    p.add("x").add(std::to_string(*expires)).add_signed(record_grace.count());
}

void add_calls(part& p, const std::vector<call>& calls) {
  if (calls.empty())
    return;
  if (std::any_of(calls.begin(), calls.end(),
                  [](const call& c) { return !c.label.empty(); }))
    p.add("l").add(most_labels);
  p.add("c").add(calls.size());
  for (const auto& c : calls)
    p.add(call_id_text(c.id)).add(call_text(c)).add(c.label);
}

void add_timers(part& p, const turn& t) {
  if (!t.cancel.empty())
    p.add("r").add(t.cancel.size());
  for (const auto& name : t.cancel)
    p.add(name);
  if (!t.set.empty())
    p.add("t").add(t.set.size());
  for (const auto& s : t.set)
    p.add(s.name).add_signed(to_ms(s.due)).add(s.body);
}

void add_turn(commit_plan& plan, std::size_t number, const turn& t,
              std::uint16_t shards, wall_time now) {
  auto& p = plan.what;
  p.add(to_string(t.key)).add(t.version);
  if (t.fired)
    p.add(std::string{}).add(t.fired->name).add_signed(to_ms(t.fired->due));
  else
    p.add(t.seq.value);
  add_record(p, t, now);
  add_calls(p, t.calls);
  add_timers(p, t);
  std::vector<parcel> parcels;
  std::vector<std::size_t> away;
  std::vector<const notice*> own;
  for (std::size_t i = 0; i < t.notices.size(); ++i) {
    const auto to = shard_of(t.notices[i].to, shards);
    if (to == *p.shard) {
      own.push_back(&t.notices[i]);
      continue;
    }
    parcels.push_back({to, t.notices[i], t.key, std::nullopt});
    away.push_back(i);
  }
  if (!own.empty())
    p.add("n").add(own.size());
  for (const auto* n : own)
    p.add(entry_head(n->type, n->to, {}, now)).add(notice_body(t.key, *n));
  std::vector<const audience_change*> sights;
  for (const auto& a : t.audience)
    if (a.seen)
      sights.push_back(&a);
  add_sights(p, sights, shards, parcels);
  for (const auto& a : t.audience)
    if (a.changes_tags())
      add_tags(p, a);
  add_parcels(plan, number, std::move(parcels), away);
  if (t.dead)
    p.add("d").add(*t.dead).add(t.fired
                                    ? entry_head(entry_kind::timer, t.key, {},
                                                 t.fired->due, t.fired->name)
                                    : std::string{});
  p.add("");
}

/// The field of hash `k` that it adds one to.
std::string tally_field(const settlement& s) {
  campaign_tally one;
  add_outcome(one, s);
  const char* const how = one.sent != 0      ? ":sent"
                          : one.failed != 0  ? ":failed"
                          : one.blocked != 0 ? ":blocked"
                                             : ":unknown";
  return std::to_string(s.campaign) + how;
}

void add_settlement(commit_plan& plan, std::size_t number, const settlement& s,
                    std::uint16_t shards, wall_time now) {
  auto& p = plan.what;
  const bool final = is_final(s.outcome);
  // The same rule as `note_message`; the script knows the label's latest call.
  const bool noted = s.outcome == call_outcome::sent && !s.label.empty() &&
                     s.message_id != 0 && s.to == s.from;
  p.add(call_id_text(s.id)).add(final ? "1" : "0");
  if (noted)
    p.add("l").add(to_string(s.from)).add(s.label).add_signed(s.message_id);
  if (final && s.event)
    p.add("e")
        .add(entry_head(entry_kind::outcome, s.from, {}, now))
        .add(s.event);
  if (s.spent > 0 && s.to.is_group())
    p.add("g")
        .add_signed(to_ms(s.spent_at))
        .add(to_string(s.to) + ' ' + std::to_string(s.spent));
  std::vector<parcel> parcels;
  std::vector<const audience_change*> sights;
  if (s.audience)
    sights.push_back(&*s.audience);
  if (s.joined)
    sights.push_back(&*s.joined);
  add_sights(p, sights, shards, parcels);
  add_parcels(plan, number, std::move(parcels), {});
  if (s.dead && s.dead_body)
    p.add("d")
        .add(*s.dead)
        .add(entry_head(entry_kind::call, s.from, {}, s.spent_at))
        .add(s.dead_body);
  if (final && s.campaign != 0)
    p.add("t").add(tally_field(s));
  p.add("");
}

commit_plan begin_plan(const char* op, const lease& held, std::size_t size) {
  commit_plan plan;
  plan.what.op = op;
  plan.what.shard = held.shard;
  plan.what.writes = true;
  plan.what.add(held.term.value).add(size);
  return plan;
}

}  // namespace

commit_plan plan_commit(const lease& held, const std::vector<turn>& turns,
                        std::uint16_t shards, wall_time now) {
  auto plan = begin_plan("commit", held, turns.size());
  for (std::size_t i = 0; i < turns.size(); ++i)
    add_turn(plan, i, turns[i], shards, now);
  return plan;
}

commit_plan plan_settle(const lease& held,
                        const std::vector<settlement>& outcomes,
                        std::uint16_t shards, wall_time now) {
  auto plan = begin_plan("settle", held, outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    add_settlement(plan, i, outcomes[i], shards, now);
  return plan;
}

entry notice_entry(const notice& n, const chat_key& from, wall_time now) {
  return {{}, n.type, n.to, {}, now, make_payload(notice_body(from, n))};
}

result<commit_answer> read_commit(reading in, const std::vector<turn>& turns,
                                  const commit_plan& plan, wall_time now) {
  commit_answer out;
  out.receipts.resize(turns.size());
  std::size_t next = 0;  // of the plan's parcels
  for (std::size_t i = 0; i < turns.size(); ++i) {
    auto& r = out.receipts[i];
    const auto first = next;
    while (next < plan.parcels.size() && plan.parcels[next].turn == i)
      ++next;
    reading one{in.list()};
    if (!one.more()) {
      r.outcome = turn_receipt::status::stale;
      continue;
    }
    for (const auto& n : turns[i].notices)
      r.appended.push_back(notice_entry(n, turns[i].key, now));
    std::vector<bool> away(r.appended.size());
    for (auto k = first; k < next; ++k)
      if (const auto n = plan.parcels[k].notice)
        away[*n] = true;
    reading sequences{one.list()};
    for (std::size_t n = 0; n < away.size(); ++n)
      if (!away[n])
        r.appended[n].seq = {sequences.number()};
    reading ids{one.list()};
    for (auto k = first; k < next; ++k)
      out.parcels.push_back({ids.text(), k});
    if (one.more())
      r.tags_over = static_cast<std::uint32_t>(one.number());
    if (!one.good() || !sequences.good() || !ids.good())
      return malformed("commit");
  }
  if (!in.good())
    return malformed("commit");
  return out;
}

result<settle_answer> read_settle(reading in,
                                  const std::vector<settlement>& outcomes,
                                  const commit_plan& plan, wall_time now) {
  settle_answer out;
  out.events.resize(outcomes.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    reading one{in.list()};
    const auto seq = one.number();
    if (seq != 0)
      out.events[i] = entry{{seq}, entry_kind::outcome, outcomes[i].from, {},
                            now,   outcomes[i].event};
    // None at all for a call that was settled before.
    reading ids{one.list()};
    for (; next < plan.parcels.size() && plan.parcels[next].turn == i; ++next)
      if (ids.more())
        out.parcels.push_back({ids.text(), next});
    if (!one.good() || !ids.good())
      return malformed("settle");
  }
  if (!in.good())
    return malformed("settle");
  return out;
}

part take_in_part(const parcel& p, shard_id from, const std::string& id,
                  wall_time now) {
  part out;
  out.op = "take_in";
  out.shard = p.to;
  out.writes = true;
  out.add(from.value).add(id).add(std::string{p.text ? "notice" : "sight"});
  if (p.text)
    out.add(entry_head(p.text->type, p.text->to, {}, now))
        .add(notice_body(p.from, *p.text));
  else
    add_sight(out, *p.sight);
  return out;
}

part arrived_part(const parcel& p, shard_id from, const std::string& id) {
  part out;
  out.op = "arrived";
  out.shard = from;
  out.writes = true;
  out.add(std::to_string(p.to.value) + ':' + id);
  return out;
}

}  // namespace troupe::store::redis
