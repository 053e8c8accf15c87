#pragma once

#include <memory>
#include <vector>
#include "actors/actor_base.hpp"

#include "actors/cluster_view.hpp"
#include "actors/messages.hpp"

namespace troupe::actors {

/// The node among the nodes of its store: says that it is alive, hears who
/// else is, and works out which shards should be whose.
class member_actor : public actor_base {
 public:
  member_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "member"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void beat();
  void on_alive(nodes_alive& m);
  void place_shards(const std::vector<std::string>& names);
  void keep(std::vector<store::node_info> nodes);
  void tell_wants(const std::vector<node_word>& words);
  void push_back(const std::vector<node_word>& words);
  void look_for_drains(const std::vector<node_word>& words);
  void leave();
  void give_all_up();

  const std::shared_ptr<services> shared_;
  std::vector<std::string> known_;  ///< who was alive last time
  std::string behind_;              ///< who can't keep up
  bool asking_ = false;
  bool left_ = false;
  bool told_to_drain_ = false;
};

}  // namespace troupe::actors
