#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/redis_hub.hpp"
#include "store/redis_slots.hpp"

namespace troupe::store::redis {

/// The primaries of a Redis Cluster, and the map of its slots.
///
/// **Order**: commands of one slot leave in the order they were made, also
/// while it moves. Therefore a node that lost a slot first drains; until then
/// new commands of its slots wait behind those that it may send back. Only a
/// slot whose keys are halfway (ASK, TRYAGAIN) gives no such promise.
class cluster_hub final : public hub {
 public:
  explicit cluster_hub(parts with) : hub{std::move(with)} {}
  void sweep() override;
  std::vector<std::shared_ptr<node>> primaries() override;
  std::vector<command_ptr> close() override;

 private:
  struct member {
    address at;
    std::shared_ptr<node> peer;
  };
  /// Commands of a slot whose keys are on their way.
  struct held {
    std::vector<command_ptr> returned, later;
  };

  void begin() override { want_map(); }
  std::string scouting() const override {
    return scout_ ? scout_->standing() : "";
  }
  void dispatch(command_ptr what) override;
  void detour(pipeline::detour what) override;
  void locate(node& which) override;
  void node_opened(node& which) override;
  void node_failed(node& which, const greeting::failure& why) override;
  void node_halted(node& which, pipeline::halt what) override;

  node& node_at(const address& at);
  void release(std::uint16_t slot);
  void redistribute(node& from);

  void want_map();
  void ask_for_map();
  void scouted(const greeting::failure& why);
  std::vector<address> whom_to_ask() const;
  void change_map(slot_map to);
  void hurry(const std::shared_ptr<node>& which);
  void drained(node& which);
  void install();
  void retire(const std::vector<address>& remaining);
  void check_open();

  std::vector<member> members_;
  slot_map map_;
  std::vector<command_ptr> homeless_;  ///< nobody serves their slots
  std::map<std::uint16_t, held> held_;

  bool map_wanted_ = false;
  bool timer_set_ = false;
  mono_time ask_at_{};
  backoff patience_;
  std::shared_ptr<scout> scout_;
  std::shared_ptr<slot_map> found_;

  std::optional<slot_map> next_map_;
  std::vector<std::shared_ptr<node>> losers_;  ///< of slots, by `next_map_`
  std::vector<node*> awaited_;  ///< of them: they drain; then it holds
};

}  // namespace troupe::store::redis
