#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.hpp"
#include "tests/support/relay.hpp"
#include "tests/system/stage.hpp"

namespace troupe::system_test {

/// What the nodes share.
enum class store_kind : std::uint8_t { redis, postgres };

/// A server of that kind, for the nodes' store.
class store_server {
 public:
  virtual ~store_server() = default;
  virtual std::uint16_t port() const = 0;
  /// @param place `HOST:PORT` by which a node reaches it
  virtual std::string url(const std::string& place) const = 0;
  /// kill -9, and waits until it is gone.
  virtual void kill() = 0;
  virtual void restart() = 0;
};

/// False, after printing a SKIPPED line, if there is none on this machine.
bool have_store(store_kind kind);

/// Several nodes of one bot on one store, behind one webhook of the simulated
/// Telegram. Each node reaches the store, and is reached by the others, over a
/// relay of its own.
class cluster_stage {
 public:
  using counts = std::map<std::string, std::int64_t>;

  /// @param flags more of the simulator's
  /// @param more more of the nodes' environment
  cluster_stage(std::size_t nodes, const std::vector<std::string>& flags,
                stage::environment more = {},
                store_kind on = store_kind::redis);

  std::size_t size() const noexcept { return nodes_.size(); }
  stage& telegram() { return on_; }
  store_server& store() { return *store_; }
  process& node(std::size_t i) { return *nodes_.at(i).runs; }
  /// Between the node and the store.
  relay_test::relay& to_store(std::size_t i) { return *nodes_.at(i).store; }
  /// Between the node and those who dial it: of two nodes the first dials.
  relay_test::relay& road(std::size_t i) { return *nodes_.at(i).road; }

  /// Starts a node and returns at once.
  void launch_node(std::size_t i);
  /// Starts all and waits until they have shared the shards.
  void start();
  /// kill -9, and waits until it is gone. What it counted is kept, if it says.
  void kill(std::size_t i);
  /// SIGSTOP and SIGCONT.
  void stop(std::size_t i);
  void go_on(std::size_t i);

  bool ready(std::size_t i);
  /// Nothing if the node is stopped or does not answer soon.
  std::optional<json::object> stats(std::size_t i);
  /// All nodes serve, as each says, and every shard has one owner.
  bool whole();
  /// As node `i` sees it: so many nodes serve, and every shard has one owner.
  bool whole(std::size_t i, std::size_t serving);
  /// Nothing waits any more: not at Telegram, not in the store, not in a node.
  bool idle();
  /// What all processes counted (`totals` of /stats), as far as they said.
  counts totals();

  /// SIGTERM to all nodes, then to the simulator: all must end well.
  void end();

  /// The lines that all processes of all nodes logged.
  std::vector<std::string> log_lines() const;

 private:
  struct place {
    std::string name;
    std::uint16_t webhook = 0, stats = 0, listens = 0;
    std::unique_ptr<relay_test::relay> store, road;
    std::unique_ptr<process> runs;
    unsigned processes = 0;  ///< so many were started
    bool stopped = false;
    counts counted;  ///< by the process that runs, as it last said
  };

  static std::vector<place> places(std::size_t nodes,
                                   const store_server& store);
  static std::vector<std::string> webhooks(const std::vector<place>& of,
                                           std::vector<std::string> flags);
  void take_counts(place& of);

  std::unique_ptr<store_server> store_;
  std::vector<place> nodes_;
  stage on_;
  counts ended_;  ///< by processes that are gone
};

}  // namespace troupe::system_test
