#pragma once

#include <boost/json/array.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/bot.hpp"
#include "troupe/detail/test_bench.hpp"

namespace troupe {

/// One chat of a bot, for tests: without network, threads or waiting. Time
/// stands still unless `advance` moves it. For any test framework.
///
/// ```cpp
/// test_chat<cart> c{shop};
/// c.text("milk");
/// c.restart();      // what was not durable is gone
/// c.advance(24h);   // fires what is due
/// CHECK(c.sent() == std::vector<std::string>{
///     "sendMessage: Your cart is waiting."});
/// ```
///
/// Every step runs until the chat is at rest: a turn's calls are settled as
/// sent (unless `refuse_next` or `lose_next` say otherwise), and the `sent` or
/// `failed` event of a labelled one is turned. A handler that throws is tried
/// three times, as in production, and then ends as a dead letter.
/// What Telegram answers with 429 is repeated by the runtime until it works,
/// so no behaviour ever sees it, and neither does this kit.
///
/// **Errors**: std::logic_error for what a person could not do (a button that
/// is not there), std::runtime_error if a chat never comes to rest or its
/// stored state can't be read back.
template <class State>
class test_chat {
 public:
  /// @param id the chat's; negative for a group
  explicit test_chat(const bot<State>& of, std::int64_t id = 42)
      : bench_{id, [plan = of.frozen(), id] {
                 return std::make_unique<detail::live<State>>(
                     plan, std::to_string(id), id);
               }} {}
  explicit test_chat(typename bot<State>::maker make, std::int64_t id = 42)
      : test_chat{bot<State>{std::move(make)}, id} {}

  test_chat(const test_chat&) = delete;
  test_chat& operator=(const test_chat&) = delete;

  // -- what people do ---------------------------------------------------------

  /// Somebody writes. A text that starts with "/name" is a command.
  void text(std::string_view text) { bench_.text(text); }

  /// The same with the '/': `command("start", "42")` writes "/start 42".
  void command(std::string_view name, std::string_view arguments = {}) {
    auto line = '/' + std::string{name};
    if (!arguments.empty())
      line += ' ' + std::string{arguments};
    bench_.text(line);
  }

  /// Presses a button of this chat by its text or its data, the newest first.
  /// A press that would count as the one before it waits for two seconds.
  void press(std::string_view button) { bench_.press(button); }

  /// The app sends the last press again at once, as apps do that lost their
  /// connection: Telegram makes it a new update.
  void press_again() { bench_.press_again(); }

  /// Any update, as JSON. `update_id` is put in if there is none.
  /// @param waited how long ago it was accepted
  void update(std::string_view json, std::chrono::milliseconds waited = {}) {
    bench_.update(json, waited);
  }

  /// Another chat's turn sends a notice here.
  void notice(std::string_view text, std::string_view from = "7") {
    bench_.notice(text, from);
  }

  /// This chat and `other` are two of one bot from now on: a key of `once` is
  /// given to one event of both, a lock to one of both. Each keeps its own
  /// time: who waits for a lock tries again when its own `advance` comes to
  /// that.
  template <class Other>
  void beside(const test_chat<Other>& other) {
    bench_.keys = other.bench_.keys;
  }

  /// A turn of some other chat was told true for this key of `once`.
  void take(std::string_view key, std::chrono::milliseconds ttl) {
    take_name("once/" + std::string{key}, ttl);
  }

  /// Some other chat has this lock, until `ttl` is over or `free_lock`.
  void take_lock(std::string_view name, std::chrono::milliseconds ttl) {
    take_name("lock/" + std::string{name}, ttl);
  }
  void free_lock(std::string_view name) {
    bench_.keys->free("lock/" + std::string{name}, "another");
  }

  /// Who writes and presses from now on.
  void speaker(person p) { bench_.speaker = std::move(p); }

  /// The bot's name, for "/start@name". Unknown if it is not set.
  void username(std::string name) { bench_.username = std::move(name); }

  // -- what happens to a bot --------------------------------------------------

  /// Time passes: timers fire in the order they are due.
  void advance(std::chrono::milliseconds by) { bench_.advance(by); }

  /// The process ends and starts again: only what is stored is left.
  void restart() { bench_.restart(); }

  /// Telegram refuses the next call (one more for every use):
  /// `refuse_next(403, "Forbidden: bot was blocked by the user")`.
  void refuse_next(int code, std::string description) {
    bench_.refuse_next(code, std::move(description));
  }

  /// The next call's answer is lost, and the call given up: `failed` with
  /// `unknown`. (Only `at_most_once` calls end so; others are repeated.)
  void lose_next() { bench_.lose_next(); }

  /// What the database makes of each statement of `ctx->sql` when its turn is
  /// committed: how many rows it changes. An exception is a statement that
  /// fails, as a serialization failure does: the turn is tried three times.
  /// Without it each changes one row. It is given the line that `sql` has.
  ///
  /// ```cpp
  /// std::set<std::string> booked;
  /// c.database([&](const std::string& line) {
  ///   return booked.insert(line).second ? 1u : 0u;
  /// });
  /// ```
  void database(std::function<std::size_t(const std::string&)> is) {
    bench_.database = std::move(is);
  }

  // -- what came of it --------------------------------------------------------

  /// All calls since the start (or `forget`), one line each:
  /// `sendMessage: the text [Button][Button]`,
  /// `editMessageText(label): the text`, `sendMessage to 7: the text`,
  /// `answerCallbackQuery`, `sendDice: {"emoji":"..."}`. Refused ones end in
  /// ` -> 403 Forbidden: ...`, lost ones in ` -> unknown`.
  const std::vector<std::string>& sent() const { return bench_.sent; }

  /// The same calls in full: objects of `method`, `parameters`, and if set
  /// `label`, `target`, `at_most_once`, `reply`.
  const boost::json::array& calls() const { return bench_.calls; }

  /// Texts of notices to other chats: "7: text".
  const std::vector<std::string>& notices() const { return bench_.notices; }

  /// Statements that were committed, with their parameters:
  /// `DELETE FROM carts WHERE id = $1 [42]`; NULL for nothing.
  const std::vector<std::string>& sql() const { return bench_.statements; }

  /// Campaigns that were started: objects of `audience`, `method`, `params`,
  /// `name`, `rate`, `repeat`, and `at_ms` if given. Nothing of them is sent.
  const boost::json::array& broadcasts() const { return bench_.broadcasts; }

  /// Starts the four above anew.
  void forget() {
    bench_.statements.clear();
    bench_.sent.clear();
    bench_.calls.clear();
    bench_.notices.clear();
    bench_.broadcasts.clear();
  }

  /// Errors of events whose handler threw at every attempt.
  const std::vector<std::string>& dead_letters() const {
    return bench_.dead_letters;
  }

  /// How each event ended: "text_message done", "callback_query repeated".
  const std::vector<std::string>& turns() const { return bench_.turns; }

  /// The state as handlers see it.
  const State& state() const {
    return static_cast<detail::live<State>&>(bench_.live()).state();
  }
  /// The state as it is stored: JSON, or empty if there is none.
  std::string stored_state() const { return bench_.stored("state"); }
  /// The stored mode; empty is the first.
  std::string mode() const { return bench_.stored("mode"); }

  /// True if this chat has the lock: between its turns, one that it keeps.
  bool holds_lock(std::string_view name) const {
    return bench_.holds_lock(name);
  }

  /// True if the timer is set.
  bool waits_for(std::string_view timer) const {
    return bench_.timers.contains(timer);
  }
  /// The chat's tags in the audience.
  const std::set<std::string, std::less<>>& tags() const { return bench_.tags; }

  std::chrono::sys_time<std::chrono::milliseconds> now() const {
    return bench_.now();
  }

 private:
  template <class>
  friend class test_chat;

  void take_name(const std::string& name, std::chrono::milliseconds ttl) {
    bench_.keys->take(name, "another", bench_.now().time_since_epoch().count(),
                      ttl.count());
  }

  mutable detail::test_bench bench_;
};

}  // namespace troupe
