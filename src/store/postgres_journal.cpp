#include <algorithm>
#include <limits>
#include <set>

#include "store/checks.hpp"
#include "store/postgres_engine.hpp"

// Accepting, ownership, names, and dead letters that go back.
namespace troupe::store::postgres {

namespace {

constexpr std::int64_t year_2020 = 1'577'836'800;  // in seconds

}  // namespace

entry postgres_engine::append(entry_kind type, const chat_key& key,
                              update_id id, wall_time at, payload body) {
  const auto shard = shard_of(key, shards_);
  const auto seq = ++tail_of(shard);
  changes_.tails.insert(shard.value);
  changes_.entries.add(std::int64_t{shard.value}, seq,
                       static_cast<std::int64_t>(type), kt(key), key.id,
                       id.value, to_ms(at), *body);
  found_.journal[{shard.value, seq}] = key;
  return {
      {static_cast<std::uint64_t>(seq)}, type, key, id, at, std::move(body)};
}

result<std::vector<receipt>> postgres_engine::accept(
    const std::vector<const arrival*>& sorted) {
  std::vector<receipt> out;
  out.reserve(sorted.size());
  const auto now = time_.wall();
  for (const auto* a : sorted) {
    receipt r{false, shard_of(a->key, shards_), {}};
    const place at{r.shard.value, seen_ids::block_of(a->id)};
    auto& known = found_.seen[at];
    if (now - known.touched > dedup_window)
      known = {};
    if (!known.ids.has(a->id)) {
      known.ids.add(a->id);
      known.touched = now;
      changes_.seen.insert(at);
      r.fresh = true;
      r.seq = append(entry_kind::update, a->key, a->id, a->at, a->body).seq;
    }
    out.push_back(r);
  }
  return out;
}

// -- ownership ----------------------------------------------------------------

result<std::vector<lease>> postgres_engine::claim(
    const std::vector<shard_id>& wanted, const std::string& node,
    milliseconds ttl) {
  if (auto ok = check_shards(wanted, shards_); !ok)
    return ok.error();
  std::vector<lease> out;
  for (const auto s : std::set<shard_id>{wanted.begin(), wanted.end()}) {
    // Somebody is busy with it. It may be a node that stands still: see `tidy`.
    if (!found_.claimable.contains(s.value)) {
      hindered_ = true;
      continue;
    }
    auto& o = found_.owners.at(s.value);
    if (!o.node.empty() && o.till > found_.now && o.node != node)
      continue;
    // A standby that took over without the last claims must not give an epoch
    // out again.
    const auto term = std::max(o.term + 1, found_.now / 1'000 - year_2020);
    // Call ids carry the epoch in their upper half and are stored as int64.
    TROUPE_CHECK(term < std::numeric_limits<std::int32_t>::max());
    o = {term, found_.now + ttl.count(), node};
    changes_.owners.insert(s.value);
    out.push_back({s,
                   {static_cast<std::uint32_t>(o.term)},
                   {static_cast<std::uint64_t>(tail_of(s))}});
  }
  return out;
}

result<std::vector<lease>> postgres_engine::renew(
    const std::vector<lease>& held, milliseconds ttl) {
  std::vector<lease> out;
  for (const auto& l : held) {
    if (l.shard.value >= shards_ || !holds(l))
      continue;
    found_.owners.at(l.shard.value).till = found_.now + ttl.count();
    changes_.owners.insert(l.shard.value);
    out.push_back(
        {l.shard, l.term, {static_cast<std::uint64_t>(tail_of(l.shard))}});
  }
  return out;
}

result<> postgres_engine::release(const std::vector<lease>& held) {
  for (const auto& l : held) {
    if (l.shard.value >= shards_ || !holds(l))
      continue;
    auto& o = found_.owners.at(l.shard.value);
    o.till = 0;
    o.node.clear();
    changes_.owners.insert(l.shard.value);
  }
  return {};
}

// -- names --------------------------------------------------------------------

result<std::optional<grant>> postgres_engine::acquire(const std::string&,
                                                      const std::string&,
                                                      milliseconds) {
  const auto& answer = name_answers_.at(next_name_++);
  if (answer.rows() == 0)
    return std::optional<grant>{};
  return std::optional{grant{static_cast<std::uint64_t>(answer.integer(0, 0))}};
}

result<> postgres_engine::relinquish(const std::string&, const std::string&) {
  ++next_name_;
  return {};
}

// -- dead letters -------------------------------------------------------------

result<std::vector<entry>> postgres_engine::retry(
    const std::vector<dead_letter_id>& which) {
  std::vector<entry> out;
  for (const auto id : std::set<dead_letter_id>{which.begin(), which.end()}) {
    auto found = found_.dead.extract(as_column(id.value));
    if (found.empty())
      continue;
    auto& d = found.mapped();
    out.push_back(append(d.type, d.key, d.update, d.accepted_at, d.body));
    changes_.undead.push_back(found.key());
  }
  return out;
}

result<std::size_t> postgres_engine::drop(
    const std::vector<dead_letter_id>& which) {
  std::size_t n = 0;
  for (const auto id : which) {
    if (found_.dead.erase(as_column(id.value)) == 0)
      continue;
    changes_.undead.push_back(as_column(id.value));
    ++n;
  }
  return n;
}

}  // namespace troupe::store::postgres
