#pragma once

/// Everything a bot author needs but the test kit (troupe/test_chat.hpp).

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "troupe/behavior.hpp"
#include "troupe/buttons.hpp"
#include "troupe/chat.hpp"
#include "troupe/detail/engine.hpp"
#include "troupe/detail/turn.hpp"
#include "troupe/events.hpp"
#include "troupe/state.hpp"
#include "troupe/tables.hpp"

namespace troupe {

/// A bot: the behaviours of a chat by mode, and how long its state lives.
///
/// ```cpp
/// int main(int argc, char** argv) {
///   return bot<cart>{}
///       .mode("shop", shop)  // the first one is where every chat starts
///       .mode("checkout", checkout)
///       .ttl(30 * 24h)
///       .run(argc, argv);
/// }
/// ```
///
/// The function that makes a behaviour is called once per living chat and
/// mode, outside of any turn: what survives a restart is in the state, not in
/// what a closure keeps.
/// **Threads**: set up by one. The functions are called by many threads at
/// once, for different chats.
template <class State>
class bot {
  static_assert(detail::usable_state<State>(),
                "describe your state with BOOST_DESCRIBE_STRUCT(type, (), "
                "(members...)), or use std::monostate if there is none");

 public:
  using maker = std::function<behavior(chat<State>*)>;

  bot() = default;
  /// A bot with the one mode "main".
  explicit bot(maker main) { mode("main", std::move(main)); }

  /// Adds a mode. Its name is stored with each chat: keep it.
  /// @param ttl the state is dropped this long after a chat's last turn in
  /// this mode; without it, the bot's ttl counts.
  /// **Errors**: std::logic_error for an empty or repeated name, an empty
  /// function, or a ttl that is not positive.
  bot& mode(std::string name, maker make) {
    return add(std::move(name), std::move(make), {});
  }
  bot& mode(std::string name, maker make, std::chrono::milliseconds ttl) {
    return add(std::move(name), std::move(make), checked(ttl));
  }

  /// Chats that had no turn for this long start anew: state, mode and memory
  /// of sent messages are dropped. Without it they are kept for good.
  /// To lift it in a later version set a very long one: a chat keeps the end
  /// that its last turn gave it.
  bot& ttl(std::chrono::milliseconds after) {
    plan_.ttl = checked(after);
    return *this;
  }

  /// Runs the whole program: configuration, command line, everything.
  /// @returns the exit code: 0, 1, 2 (usage), 78 (configuration)
  int run(int argc, char** argv) const {
    return detail::run_program(argc, argv, share());
  }

  /// The bot as the runtime and the test kit take it: a snapshot.
  /// **Errors**: std::logic_error if it has no mode.
  std::shared_ptr<const detail::bot_base> share() const {
    return std::make_shared<shared>(frozen());
  }

  /// For the test kit.
  std::shared_ptr<const detail::typed_plan<State>> frozen() const {
    if (plan_.modes.empty())
      throw std::logic_error{"a bot needs at least one mode"};
    auto all = std::make_shared<detail::typed_plan<State>>(plan_);
    if constexpr (!detail::stateless<State>())
      all->untouched = to_json(State{});
    return all;
  }

 private:
  class shared final : public detail::bot_base {
   public:
    explicit shared(std::shared_ptr<const detail::typed_plan<State>> plan)
        : plan_{std::move(plan)} {}
    std::unique_ptr<detail::live_chat> spawn(std::string key,
                                             std::int64_t id) const override {
      return std::make_unique<detail::live<State>>(plan_, std::move(key), id);
    }

   private:
    std::shared_ptr<const detail::typed_plan<State>> plan_;
  };

  static std::chrono::milliseconds checked(std::chrono::milliseconds ttl) {
    if (ttl <= std::chrono::milliseconds{0})
      throw std::logic_error{"a ttl must be positive"};
    return ttl;
  }

  bot& add(std::string name, maker make,
           std::optional<std::chrono::milliseconds> ttl) {
    if (name.empty() || !make)
      throw std::logic_error{"a mode needs a name and a function"};
    if (!plan_.modes.empty() && plan_.find(name) != plan_.modes.size())
      throw std::logic_error{"the mode \"" + name + "\" stands twice"};
    plan_.modes.push_back({std::move(name), ttl});
    plan_.makers.push_back(std::move(make));
    return *this;
  }

  detail::typed_plan<State> plan_;
};

/// Runs a bot of one behaviour: `return run<cart>(argc, argv, shop);`
/// @returns the exit code: 0, 1, 2 (usage), 78 (configuration)
template <class State>
int run(int argc, char** argv, std::function<behavior(chat<State>*)> make) {
  return bot<State>{std::move(make)}.run(argc, argv);
}

}  // namespace troupe
