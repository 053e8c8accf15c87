#include "store/redis_audience.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "store/checks.hpp"

namespace troupe::store::redis {

namespace {

// Shards asked at once: most pages end in the first of them.
constexpr std::size_t stride = 16;

struct walk : std::enable_shared_from_this<walk> {
  batcher& by;
  std::uint16_t shards;
  std::optional<chat_key> after;  ///< in the first shard only
  std::size_t limit;
  callback<std::vector<member>> done;
  std::size_t next;  ///< shard
  std::vector<member> found;

  walk(batcher& b, std::uint16_t n, const std::optional<chat_key>& a,
       std::size_t most, callback<std::vector<member>> d)
      : by{b},
        shards{n},
        after{a},
        limit{most},
        done{std::move(d)},
        next{a ? shard_of(*a, n).value : std::size_t{0}} {}

  void step() {
    const auto end = std::min<std::size_t>(next + stride, shards);
    std::vector<part> parts;
    for (auto from = after; next < end; ++next, from.reset())
      parts.push_back(audience_part({static_cast<std::uint16_t>(next)}, from,
                                    limit - found.size()));
    by.run_all(std::move(parts),
               [self = shared_from_this()](result<std::vector<reply>> all) {
                 self->take(std::move(all));
               });
  }

  void take(result<std::vector<reply>> all) {
    if (!all)
      return done(all.error());
    for (const auto& one : *all) {
      auto in = read_reply(one, "audience");
      if (!in)
        return done(in.error());
      auto some = read_audience(*in, after);
      if (!some)
        return done(some.error());
      after.reset();
      std::move(some->begin(), some->end(), std::back_inserter(found));
    }
    if (found.size() < limit && next < shards)
      return step();
    if (found.size() > limit)
      found.resize(limit);
    done(std::move(found));
  }
};

}  // namespace

part audience_part(shard_id shard, const std::optional<chat_key>& after,
                   std::size_t limit) {
  constexpr std::size_t most = 1'000'000'000;
  auto p = make_part("audience", shard, false);
  p.add(after ? audience_bucket(*after) : 0U).add(audience_buckets);
  p.add(std::min(limit, most));
  return p;
}

namespace {

result<std::map<std::string, std::string>> read_tags(
    const std::vector<reply>& items) {
  std::map<std::string, std::string> out;
  reading all{items};
  while (all.more()) {
    auto key = all.text();
    out.emplace(std::move(key), all.text());
  }
  if (!all.good())
    return malformed("audience");
  return out;
}

}  // namespace

result<std::vector<member>> read_audience(
    reading in, const std::optional<chat_key>& after) {
  std::vector<member> out;
  while (in.more()) {
    const auto bucket = in.number();
    reading all{in.list()};
    auto tags = read_tags(in.list());
    if (!tags)
      return tags.error();
    const auto first = std::ptrdiff_t(out.size());
    while (all.more()) {
      const auto key = all.text();
      auto m = read_member(key, all.text());
      if (!m)
        return malformed("audience");
      if (const auto found = tags->find(key); found != tags->end())
        m->tags = split_tags(found->second);
      if (!after || audience_bucket(*after) != bucket || m->key > *after)
        out.push_back(std::move(*m));
    }
    if (!all.good())
      return malformed("audience");
    std::sort(out.begin() + first, out.end(),
              [](const member& a, const member& b) { return a.key < b.key; });
  }
  if (!in.good())
    return malformed("audience");
  return out;
}

part tag_part(shard_id shard, const std::vector<chat_key>& whom,
              const std::string& name, bool add) {
  auto p = make_part("tag", shard, true);
  p.add(most_tags);
  for (const bool list_of_added : {false, true}) {
    p.add(std::uint64_t{list_of_added == add});
    if (list_of_added == add)
      p.add(name);
  }
  p.add(whom.size());
  for (const auto& key : whom)
    p.add(audience_bucket(key)).add(to_string(key));
  return p;
}

part about_part(shard_id shard, const chat_key& key) {
  auto p = make_part("about", shard, false);
  p.add(audience_bucket(key)).add(to_string(key));
  return p;
}

part forget_part(const lease& held, const chat_key& key, seq_no through) {
  auto p = make_part("forget", held.shard, true);
  p.add(held.term.value).add(audience_bucket(key)).add(to_string(key));
  p.add(through.value);
  return p;
}

result<holdings> read_holdings(reading in) {
  holdings h;
  for (auto* n : {&h.records, &h.entries, &h.calls, &h.timers, &h.dead_letters,
                  &h.members, &h.tags})
    *n = in.number();
  if (!in.good())
    return malformed("forget");
  return h;
}

std::map<shard_id, std::vector<chat_key>> by_shard(
    const std::vector<chat_key>& keys, std::uint16_t shards) {
  std::map<shard_id, std::vector<chat_key>> out;
  for (const auto& key : keys)
    out[shard_of(key, shards)].push_back(key);
  return out;
}

void walk_audience(batcher& by, std::uint16_t shards,
                   const std::optional<chat_key>& after, std::size_t limit,
                   callback<std::vector<member>> done) {
  std::make_shared<walk>(by, shards, after, limit, std::move(done))->step();
}

}  // namespace troupe::store::redis
