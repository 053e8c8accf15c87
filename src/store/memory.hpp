#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/engine.hpp"
#include "store/owners.hpp"
#include "store/seen.hpp"

namespace troupe::store {

/// Keeps everything in ordered containers, for tests and simulations: nothing
/// is durable, and no operation fails half-way.
/// **Lifetime**: `time` outlives it.
class memory_engine : public engine {
 public:
  /// @param shared several nodes use it, so leases expire
  memory_engine(std::uint16_t shards, const clock& time, bool shared = false)
      : time_{time}, owners_{shards, shared}, nodes_{time}, shards_(shards) {}

  std::uint16_t shards() const noexcept override {
    return static_cast<std::uint16_t>(shards_.size());
  }
  // Every operation checks first and then can't fail: nothing to undo.
  result<> begin() override { return {}; }
  result<> end() override { return {}; }
  void undo() override {}
  void tidy() override;

  result<std::vector<receipt>> accept(
      const std::vector<const arrival*>& sorted) override;
  result<std::vector<lease>> claim(const std::vector<shard_id>& wanted,
                                   const std::string& node,
                                   milliseconds ttl) override;
  result<std::vector<lease>> renew(const std::vector<lease>& held,
                                   milliseconds ttl) override;
  result<> release(const std::vector<lease>& held) override;
  gathering& nodes() override { return nodes_; }
  result<std::optional<grant>> acquire(const std::string& name,
                                       const std::string& holder,
                                       milliseconds ttl) override {
    return nodes_.acquire(name, holder, ttl);
  }
  result<> relinquish(const std::string& name,
                      const std::string& holder) override {
    nodes_.relinquish(name, holder);
    return {};
  }
  result<std::vector<entry>> backlog(shard_id shard, seq_no after,
                                     std::size_t limit) override;
  result<std::vector<entry>> entries(
      shard_id shard, const std::vector<seq_no>& wanted) override;
  result<std::vector<chat_record>> load(
      const std::vector<chat_key>& keys) override;
  result<std::vector<turn_receipt>> commit(
      const lease& held, const std::vector<turn>& turns) override;
  result<std::vector<call>> outbox(shard_id shard, call_id after,
                                   std::size_t limit) override;
  result<std::vector<call>> calls(shard_id shard,
                                  const std::vector<call_id>& wanted) override;
  result<std::vector<std::optional<entry>>> settle(
      const lease& held, const std::vector<settlement>& outcomes) override;
  result<std::vector<spending>> spent(wall_time since) override;
  result<backend::due_timers> due(const std::vector<shard_id>& shards,
                                  wall_time now, std::size_t limit) override;
  result<std::vector<timer>> timers(const chat_key& key) override;
  result<std::vector<dead_letter>> dead_letters(dead_letter_id after,
                                                std::size_t limit) override;
  result<std::vector<entry>> retry(
      const std::vector<dead_letter_id>& which) override;
  result<std::size_t> drop(const std::vector<dead_letter_id>& which) override;
  result<std::vector<member>> audience(const std::optional<chat_key>& after,
                                       std::size_t limit) override;
  result<std::size_t> tag(const std::vector<chat_key>& whom,
                          const std::string& name, bool add) override;
  result<holdings> about(const chat_key& key) override;
  result<holdings> forget(const lease& held, const chat_key& key,
                          seq_no through) override;
  result<std::vector<campaign_tally>> tallies(
      const std::vector<std::uint64_t>& campaigns) override;
  result<figures> stats() override;

 private:
  struct stored_chat {
    chat_record record;
    std::int64_t expires = 0;  // 0: never
  };

  using timer_name = std::pair<chat_key, std::string>;

  struct shard_data {
    std::uint64_t tail = 0;
    std::map<std::uint64_t, entry> journal;
    std::map<std::uint64_t, call> outbox;
    std::map<timer_name, timer> timers;
    std::set<std::tuple<wall_time, chat_key, std::string>> by_due;
  };

  struct outlook;

  template <class Map>
  std::size_t count_all(Map shard_data::*part) const {
    std::size_t n = 0;
    for (const auto& s : shards_)
      n += (s.*part).size();
    return n;
  }

  shard_data& of(shard_id s) { return shards_[s.value]; }
  shard_data& of(const chat_key& key) { return of(shard_of(key, shards())); }
  entry append(entry_kind type, const chat_key& key, update_id id, wall_time at,
               payload body);
  bool acknowledgeable(shard_data& mine, const turn& t, const outlook& o);
  result<std::vector<bool>> foresee(shard_data& mine,
                                    const std::vector<turn>& turns);
  void acknowledge(shard_data& mine, shard_id shard, const turn& t);
  void put_record(const turn& t);
  void put_timers(shard_data& mine, const turn& t);
  void remove_timer(shard_data& mine, const timer_name& name);
  /// How many tags had no room.
  std::uint32_t change_audience(const audience_change& a);
  void expire(stored_chat& c);

  const clock& time_;
  owners owners_;
  gathering nodes_;
  std::vector<shard_data> shards_;
  std::unordered_map<std::int64_t, seen_block> seen_;
  std::unordered_map<chat_key, stored_chat> chats_;
  std::map<std::pair<wall_time, chat_key>, std::uint16_t> spending_;
  std::map<std::uint64_t, dead_letter> dead_;
  std::uint64_t last_dead_ = 0;
  std::map<chat_key, member> audience_;
  std::map<std::uint64_t, campaign_tally> tallies_;
  mono_time swept_{};
};

}  // namespace troupe::store
