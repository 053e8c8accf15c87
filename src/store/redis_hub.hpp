#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/redis_node.hpp"
#include "store/redis_scout.hpp"

namespace troupe::store::redis {

/// A client's side of its lane: the nodes, and which command goes where.
/// **Threads**: its lane's.
class hub : public std::enable_shared_from_this<hub>, public node::home {
 public:
  struct parts {
    std::shared_ptr<net::lane> on;
    net::asio::ssl::context* tls;
    figure_cells& count;
    target where;
    node::settings peer;
  };
  /// Told once: the first connections stand, or why one never will.
  using opened = std::function<void(result<>)>;

  /// For the layout of `parts::where`.
  static std::shared_ptr<hub> make(parts with);
  virtual ~hub() = default;
  hub(const hub&) = delete;
  hub& operator=(const hub&) = delete;

  void start(opened done);
  /// Takes commands, in order, and sends what can be sent.
  void take(std::vector<command_ptr> commands);
  /// Looks at deadlines.
  virtual void sweep();
  /// The nodes that each serve a part of the keys.
  virtual std::vector<std::shared_ptr<node>> primaries() = 0;
  /// What kept it from being open so far.
  std::string trouble();
  /// Ends for good. @returns everything that had no answer, in order
  virtual std::vector<command_ptr> close() = 0;

 protected:
  explicit hub(parts with) : with_{std::move(with)} {}

  virtual void begin() = 0;
  virtual void dispatch(command_ptr what) = 0;
  void deliver(node& from, pipeline::ends what) override;
  virtual void detour(pipeline::detour what) = 0;
  void node_failed(node& which, const greeting::failure& why) override;
  void failed(const greeting::failure& why);
  void tell_opened(result<> how);
  /// Whom a scout waits for, and what for.
  virtual std::string scouting() const = 0;
  bool opening() const noexcept { return opened_ != nullptr; }
  std::shared_ptr<node> make_node();
  std::shared_ptr<scout> make_scout(milliseconds each);
  void flush();

  const parts with_;
  bool closed_ = false;

 private:
  opened opened_;
  std::string trouble_;
};

/// One primary, at a fixed place or where the Sentinels say.
class lone_hub final : public hub {
 public:
  explicit lone_hub(parts with);
  std::vector<std::shared_ptr<node>> primaries() override { return {node_}; }
  std::vector<command_ptr> close() override;

 private:
  void begin() override;
  void dispatch(command_ptr what) override { node_->push(std::move(what)); }
  void detour(pipeline::detour what) override;
  void locate(node& which) override;
  void node_opened(node& which) override;
  void node_halted(node& which, pipeline::halt what) override;
  std::string scouting() const override {
    return scout_ ? scout_->standing() : "";
  }
  std::string take_place(const reply& answer, address& found) const;

  std::shared_ptr<node> node_;
  std::shared_ptr<scout> scout_;
  std::vector<address> sentinels_;  ///< the last that knew comes first
};

}  // namespace troupe::store::redis
