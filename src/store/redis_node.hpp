#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "store/redis_link.hpp"
#include "store/redis_pipeline.hpp"

namespace troupe::store::redis {

/// Waits that grow, spread so that many clients do not come at once.
class backoff {
 public:
  /// 0 the first time, then 50 ms doubling to 2 s, less up to half.
  milliseconds next();
  void reset() noexcept { step_ = milliseconds{0}; }

 private:
  milliseconds step_{0};
  std::minstd_rand random_{std::random_device{}()};
};

/// One primary: its commands, and a connection to it that comes back.
/// **Threads**: its lane's.
class node final : public std::enable_shared_from_this<node>,
                   public link::owner {
 public:
  /// The client that it belongs to.
  class home {
   public:
    /// Says where the node is, by `connect` or `not_found`, at once or later.
    virtual void locate(node& which) = 0;
    virtual void node_opened(node& which) = 0;
    /// There is no connection, and it will be tried again.
    virtual void node_failed(node& which, const greeting::failure& why) = 0;
    /// Everything sent is answered: see `pipeline::halt`. `resume`, or
    /// `relocate`.
    virtual void node_halted(node& which, pipeline::halt what) = 0;
    /// Commands came to an end. **Note**: their callbacks may close the client.
    virtual void deliver(node& which, pipeline::ends what) = 0;

   protected:
    ~home() = default;
  };

  struct settings {
    pipeline::settings line;
    link::limits wire;
    greeting::terms hello;
  };

  node(std::shared_ptr<net::lane> on, net::asio::ssl::context* tls, home& whose,
       const settings& how, figure_cells& count);

  /// Finds the server and connects, again and again until `close`.
  void start();
  void connect(const address& to);
  void not_found(const greeting::failure& why);

  /// Takes a command; `flush` then.
  void push(command_ptr what) { line_.push(std::move(what)); }
  void flush();
  /// Looks at deadlines.
  void sweep();

  void drain(std::string why) { line_.drain(std::move(why)); }
  /// Gives a halt to its home, if there is one.
  void settle();
  void resume();
  void resume_after_pause();
  /// Drops the connection and looks for the primary again.
  void relocate(const std::string& why);
  /// Drops the connection.
  void drop(const std::string& why);
  std::vector<command_ptr> take_waiting() { return line_.take_waiting(); }

  bool up() const noexcept { return up_; }
  /// What a connection that is not up waits for: for people.
  std::string standing() const {
    return link_ && !up_ ? link_->standing() : "";
  }
  bool draining() const noexcept { return line_.draining(); }
  bool empty() const noexcept {
    return line_.in_flight() == 0 && line_.waiting() == 0;
  }
  /// Where it is, as far as known.
  const address& at() const noexcept { return at_; }

  /// Ends for good. @returns everything that had no answer, in order
  std::vector<command_ptr> close();

 private:
  void link_opened(reply answer) override;
  void link_read(std::string_view bytes) override;
  void link_idle() override { flush(); }
  void link_lost(const greeting::failure& why) override;

  void find();
  void retry(const greeting::failure& why);
  void lose(const std::string& why, pipeline::ends out);
  void note_sent();
  void wait_for_pause(mono_time now);
  void deliver(pipeline::ends what);

  const std::shared_ptr<net::lane> on_;
  net::asio::ssl::context* const tls_;
  home* home_;
  const settings how_;
  figure_cells& count_;

  pipeline line_;
  std::shared_ptr<link> link_;
  address at_;
  bool up_ = false;
  bool was_up_ = false;
  bool finding_ = false;
  bool told_ = false;  ///< the log knows that it can't be reached
  mono_time up_since_{};
  std::uint64_t noted_ = 0;  ///< of `link::handed`
  mono_time timer_at_{};     ///< for the end of a pause
  backoff backoff_;
};

}  // namespace troupe::store::redis
