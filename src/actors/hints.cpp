#include "actors/hints.hpp"

#include <algorithm>
#include <caf/send.hpp>
#include <unordered_map>

#include "actors/messages.hpp"

namespace troupe::actors {

namespace {

std::int64_t weight_in_mailbox(const std::vector<store::entry>& entries) {
  std::size_t out = 0;
  for (auto& e : entries)
    out += sizeof e + (e.body ? e.body->size() : 0);
  return std::int64_t(out);
}

void hint_away(services& shared, shard_id shard,
               std::vector<store::entry> entries) {
  const auto weight = weight_in_mailbox(entries);
  if ((shared.road_bytes += weight) > most_road_bytes) {
    shared.road_bytes -= weight;
    shared.count.hints_lost.add(entries.size());
    return;
  }
  caf::anon_send(shared.road, hints_out{shard, weight, std::move(entries)});
}

}  // namespace

void hint(services& shared, shard_id shard, std::vector<store::entry> entries) {
  // An owner that is to hand over is told for as long as it still takes.
  if (shared.road && shared.away[shard.value] && !shared.follows[shard.value]) {
    hint_away(shared, shard, std::move(entries));
    return;
  }
  shared.hinted += std::int64_t(entries.size());
  caf::anon_send(shared.shards[shard.value], appended{std::move(entries)});
}

void hint_shards(services& shared, std::vector<store::arrival>& batch,
                 const std::vector<store::receipt>& receipts) {
  std::unordered_map<std::uint16_t, std::vector<store::entry>> by_shard;
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    auto& r = receipts[i];
    if (!r.fresh) {
      shared.count.duplicates.add();
      continue;
    }
    shared.count.accepted.add();
    auto& a = batch[i];
    by_shard[r.shard.value].push_back({r.seq, store::entry_kind::update, a.key,
                                       a.id, a.at, std::move(a.body)});
  }
  for (auto& [shard, entries] : by_shard) {
    std::sort(entries.begin(), entries.end(),
              [](auto& a, auto& b) { return a.seq < b.seq; });
    hint(shared, {shard}, std::move(entries));
  }
}

}  // namespace troupe::actors
