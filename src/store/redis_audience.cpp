#include "store/redis_audience.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

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

void walk_audience(batcher& by, std::uint16_t shards,
                   const std::optional<chat_key>& after, std::size_t limit,
                   callback<std::vector<member>> done) {
  std::make_shared<walk>(by, shards, after, limit, std::move(done))->step();
}

}  // namespace troupe::store::redis
