#pragma once

#include <caf/actor.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/actor_base.hpp"
#include "actors/handshake.hpp"
#include "actors/messages.hpp"
#include "actors/road_queue.hpp"
#include "actors/road_wire.hpp"

namespace troupe::actors {

/// The way to the other nodes of the store, through CAF's middleman: tells the
/// one that should own a shard of what was appended for it here, and hands what
/// others tell to the shards here. Nothing depends on it but latency.
///
/// Of two nodes the one whose name comes first dials. Who was dialled is
/// greeted (`hello`), and opens or refuses. After that both say what they have.
class road_actor : public actor_base {
 public:
  road_actor(caf::actor_config& config, std::shared_ptr<services> shared,
             caf::actor dialer);
  const char* name() const override { return "road"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  enum class step : std::uint8_t {
    idle,      ///< to be dialled, by us or by it
    dialling,  ///< the middleman connects
    greeting,  ///< it has our hello
    open
  };
  struct peer {
    std::string address;
    bool encrypted = false;
    step at = step::idle;
    caf::actor who;
    road_queue out;
    std::uint64_t attempt = 0;
    mono_time next_try{};  ///< or, while one is under way, its end
    unsigned failures = 0;
    std::string why;  ///< it is not open
  };
  using named_peer = std::pair<const std::string, peer>;

  void on_alive(peers_alive& m);
  void look();
  void dial(named_peer& to);
  void on_dialled(const std::string& name, std::uint64_t attempt,
                  const caf::strong_actor_ptr& found);
  void on_hello(const road_hello& m);
  void refuse(const std::string& from, std::string why, std::string told = {});
  void on_welcome(const road_welcome& m);
  void on_refused(road_refused& m);
  void open(named_peer& to);
  void fail(named_peer& to, std::string why, milliseconds pause);
  void fail_dialled(const std::string& name, std::uint64_t attempt,
                    const caf::error& why);
  void on_down(const caf::down_msg& m);
  void close(peer& p);
  void on_out(hints_out& m);
  void on_hints(road_hints& m);
  void flush();
  void publish();
  named_peer* sender();

  const std::shared_ptr<services> shared_;
  caf::actor dialer_;
  const node_facts facts_;
  std::map<std::string, peer> peers_;
  std::vector<std::string> alive_;   ///< who was, last time
  std::vector<named_peer*> owners_;  ///< by shard; null: this node, or unknown
  bool flush_sent_ = false;
  mono_time stranger_told_{};
};

}  // namespace troupe::actors
