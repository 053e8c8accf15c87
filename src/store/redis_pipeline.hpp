#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "store/redis_command.hpp"
#include "store/redis_figures.hpp"
#include "store/redis_reply.hpp"

namespace troupe::store::redis {

/// The commands of one server: which wait, which are on their way, what their
/// replies mean, what a lost connection did to them. Sans I/O: events in, ends
/// and bytes out.
///
/// **Order**: commands are sent in the order of `push`. Those that the server
/// did not carry out (NOSCRIPT, LOADING, MOVED) or that were lost with a
/// connection are sent again in that order, before what was not sent yet: the
/// pipeline first drains, that is it sends nothing until everything on its way
/// is answered. **Threads**: one.
class pipeline {
 public:
  struct settings {
    bool cluster = false;
    /// Bytes that `fill` gathers, if there is that much to send.
    std::size_t batch = 256 * 1024;
    std::size_t most_answer_bytes = 256 * 1024 * 1024;
    /// A server that owes an overdue answer and has said nothing for so long
    /// is given up.
    milliseconds patience{1000};
    /// Replicas that must have what a batch wrote before it is answered.
    unsigned wait_replicas = 0;
    milliseconds wait_timeout{1000};
    /// Taught to the server before the first of them is wanted.
    std::vector<script> scripts = {};
  };

  /// A command and what came of it.
  struct end {
    command_ptr what;
    result<reply> answer;
  };
  /// A command that the server sent elsewhere: `ask` or `try_again`.
  struct detour {
    command_ptr what;
    verdict why;
  };
  struct ends {
    std::vector<end> answered;
    std::vector<detour> detours;
  };
  /// What it drained for, if that needs its owner.
  struct halt {
    bool relocate = false;       ///< this is not the primary any more
    std::vector<verdict> moves;  ///< slots that are elsewhere now
    /// Nodes send a command to each other and back: they disagree.
    bool bounced = false;
    std::string why;
  };

  pipeline(const settings& how, figure_cells& count);

  void push(command_ptr what);

  /// A fresh connection to `where`: nothing is on its way, no script is known.
  void connected(std::string where, mono_time now);
  /// The connection is gone, or is given up. What may have reached the server
  /// ends as `unknown_outcome`, or waits to be sent again if it is repeatable
  /// and has time left; what did not reach it, waits.
  void lost(const std::string& why, mono_time now, ends& out);
  /// Why there is no connection (and to whom), for the errors of those that
  /// run out of time.
  void hindered(std::string why) { hindrance_ = std::move(why); }

  bool wants_to_send(mono_time now) const;
  /// Appends what is to be sent next.
  void fill(std::string& out, mono_time now);
  /// So many more bytes of what `fill` gave may have left this machine.
  void sent(std::size_t bytes) { sent_bytes_ += bytes; }

  /// What the server said.
  /// **Errors**: it makes no sense; the connection is of no use any more.
  result<> feed(std::string_view bytes, mono_time now, ends& out);

  /// Ends what waited too long.
  /// @returns false if the server must be given up: call `lost` then.
  bool expire(mono_time now, ends& out);

  /// Halts once everything on its way is answered.
  void drain(std::string why);
  /// Not empty once it has halted; then it sends nothing until `resume`.
  std::optional<halt> take_halt();
  /// Goes on, at once or after a pause (longer each time, until something is
  /// carried out).
  void resume() { halted_ = false; }
  void resume_after_pause(mono_time now);
  bool draining() const noexcept { return draining_; }
  /// When it sends again, if it pauses.
  std::optional<mono_time> paused_until(mono_time now) const;

  /// Takes away what is not on its way, in order.
  std::vector<command_ptr> take_waiting();
  /// Takes away everything, in order.
  std::vector<command_ptr> take_all();

  std::size_t in_flight() const noexcept { return flight_.size(); }
  std::size_t waiting() const noexcept {
    return waiting_.size() + returned_.size();
  }

 private:
  /// What a reply is awaited for.
  struct traveller {
    enum class kind : std::uint8_t {
      command,
      given_up,  ///< it was overdue and is answered; its reply is for nobody
      lesson,    ///< teaches the server our scripts
      wait,      ///< WAIT, for the commands before it
    };
    kind type = kind::command;
    bool by_sha = false, as_text = false;  ///< how its script goes
    unsigned skip = 0;                     ///< replies before its own
    std::uint64_t begin = 0;               ///< its place in the stream
    mono_time at;
    command_ptr what;
  };

  bool next_may_leave() const;
  void append_next(std::string& out, std::uint64_t start, mono_time now);
  void append_lesson(std::string& out, std::uint64_t begin, mono_time now);
  void append_wait(std::string& out, mono_time now);
  result<> take_reply(reply&& got, mono_time now, ends& out);
  void take_refusal(command_ptr what, reply&& got, ends& out);
  void take_confirmation(const reply& got, ends& out);
  void come_back(command_ptr what, const std::string& why);
  void lose(traveller& one, const std::string& why, mono_time now, ends& out);
  void lose_unconfirmed(const std::string& why, mono_time now, ends& out);
  void merge_returned();
  void settle_drain(mono_time now);
  void pause(mono_time now);
  void expire_in(std::deque<command_ptr>& list, mono_time now, ends& out);
  bool silent(mono_time now) const;
  void give_up_overdue(mono_time now, ends& out);
  void note_deadline(mono_time at);
  error too_late(const command& what) const;
  void finish(command_ptr what, result<reply> answer, ends& out);
  void count();

  const settings how_;
  figure_cells& count_;
  std::size_t counted_waiting_ = 0, counted_flight_ = 0;

  std::string where_ = "redis";
  std::string hindrance_ = "not connected yet";
  reply_reader reader_;
  script_shelf scripts_;

  std::deque<command_ptr> waiting_;
  std::deque<command_ptr> returned_;  ///< sent in vain; before `waiting_`
  std::deque<traveller> flight_;
  std::size_t by_sha_ = 0, as_text_ = 0;  ///< scripts among them
  std::vector<end> unconfirmed_;          ///< answered, awaiting the next WAIT

  std::uint64_t filled_bytes_ = 0;
  std::uint64_t sent_bytes_ = 0;
  mono_time heard_at_{};
  mono_time first_deadline_ = mono_time::max();  ///< none is earlier

  bool draining_ = false;
  bool pause_next_ = false;
  milliseconds pause_;
  mono_time resume_at_{};
  std::optional<halt> halt_;
  bool halted_ = false;
};

}  // namespace troupe::store::redis
