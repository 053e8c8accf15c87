#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "core/clock.hpp"

namespace troupe::http {

/// Decides which connection takes which call, when another one is opened and
/// when a call has waited too long. Sans I/O: it is told events and asked for
/// actions.
///
/// Calls are served in order of arrival. The connection that was used last is
/// used next: it is the least likely to have been closed by the peer, and a
/// pool that has become too large shrinks.
template <class Call, class Conn>
class pool {
 public:
  struct limits {
    std::size_t connections = 1;
    /// Attempts at once: a burst must not become a storm of handshakes.
    std::size_t opening = 1;
  };
  struct start {
    Conn on;
    Call what;
  };
  struct open {};
  using action = std::variant<start, open>;

  explicit pool(limits how) : limits_{how} {}

  // Events.

  /// @param until when it has waited too long
  /// @param fresh take a new connection only: it failed on a stale one
  void submit(Call what, mono_time until, bool fresh = false) {
    (fresh ? fresh_ : waiting_).push_back({std::move(what), until});
  }
  /// An `open` succeeded.
  void opened(Conn conn) {
    --opening_;
    ++open_;
    new_.push_back(conn);
  }
  /// An `open` failed. @returns the call that fails with it: the oldest one,
  /// unless enough attempts for all who wait are still under way.
  std::optional<Call> open_failed() {
    --opening_;
    if (waiting() <= opening_)
      return std::nullopt;
    return pop(fresh_.empty() ? waiting_ : fresh_);
  }
  /// The call that ran on `conn` is over, and it can be used again.
  void freed(Conn conn) { idle_.push_back(conn); }
  void lost_busy() { --open_; }
  void lost_idle(Conn conn) {
    if (std::erase(idle_, conn) + std::erase(new_, conn) > 0)
      --open_;
  }
  /// @returns the calls that have waited too long. Cost: of all that wait.
  std::vector<Call> expired(mono_time now) {
    std::vector<Call> late;
    for (auto* list : {&waiting_, &fresh_}) {
      const auto from =
          std::stable_partition(list->begin(), list->end(),
                                [&](const waiter& w) { return w.until > now; });
      for (auto it = from; it != list->end(); ++it)
        late.push_back(std::move(it->what));
      list->erase(from, list->end());
    }
    return late;
  }
  /// @returns a call that waits, whatever its time, until there is none.
  std::optional<Call> dropped() {
    if (!fresh_.empty())
      return pop(fresh_);
    if (!waiting_.empty())
      return pop(waiting_);
    return std::nullopt;
  }

  /// What is to be done now, until there is nothing.
  std::optional<action> next() {
    if (!new_.empty() && !fresh_.empty()) {
      const auto conn = new_.back();
      new_.pop_back();
      return start{conn, *pop(fresh_)};
    }
    idle_.insert(idle_.end(), new_.begin(), new_.end());
    new_.clear();
    if (!idle_.empty() && !waiting_.empty()) {
      const auto conn = idle_.back();
      idle_.pop_back();
      return start{conn, *pop(waiting_)};
    }
    if (waiting() > opening_ && opening_ < limits_.opening &&
        connections() < limits_.connections) {
      ++opening_;
      return open{};
    }
    return std::nullopt;
  }

  /// Open or being opened.
  std::size_t connections() const noexcept { return open_ + opening_; }
  std::size_t waiting() const noexcept {
    return waiting_.size() + fresh_.size();
  }

 private:
  struct waiter {
    Call what;
    mono_time until;
  };

  static std::optional<Call> pop(std::deque<waiter>& from) {
    std::optional<Call> what{std::move(from.front().what)};
    from.pop_front();
    return what;
  }

  limits limits_;
  std::deque<waiter> waiting_, fresh_;
  std::vector<Conn> idle_, new_;
  std::size_t open_ = 0, opening_ = 0;
};

/// How a call ended without an answer.
struct broken_call {
  bool reused = false;      ///< the connection had answered calls before
  bool answered = false;    ///< a byte of an answer came
  bool sent = false;        ///< a byte of the request may have left
  bool idempotent = false;  ///< GET or HEAD
  bool retried = false;     ///< it is the second attempt
};

/// True if it may be carried out again on a fresh connection: the peer closed a
/// pooled one under our hands, and doing it twice does no harm.
constexpr bool may_retry(const broken_call& c) noexcept {
  return c.reused && !c.answered && !c.retried && (!c.sent || c.idempotent);
}

}  // namespace troupe::http
