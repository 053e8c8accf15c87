#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/behavior.hpp"
#include "troupe/chat.hpp"
#include "troupe/detail/turn.hpp"

namespace troupe::detail {

/// What all chats of one bot share, but for the types.
struct plan {
  struct mode {
    std::string name;
    std::optional<std::chrono::milliseconds> ttl;  ///< absent: the bot's
  };
  std::vector<mode> modes;  ///< the first is where a chat starts
  std::optional<std::chrono::milliseconds> ttl;

  /// @returns modes.size() if there is none of that name; "" is the first.
  std::size_t find(std::string_view name) const noexcept;
};

struct turn_context;

/// `live_chat` for any state: everything that does not depend on its type.
class engine : public live_chat {
 public:
  void load(std::string_view state, std::string_view mode,
            std::string_view memo, std::int64_t expires_ms) final;
  turn_result run(const turn_event& what, const turn_scene& scene) final;

 protected:
  virtual chat_base& chat() noexcept = 0;
  virtual const plan& shared() const noexcept = 0;
  virtual behavior make(std::size_t mode) = 0;

  // The state. `text` is its JSON.
  virtual void renew() = 0;
  /// Leaves it as it was if it throws.
  virtual void read(const boost::json::value& from, bool& unknown) = 0;
  virtual void write(std::string& text) const = 0;
  virtual void keep(boost::json::value& fresh,
                    const boost::json::value& old) const = 0;
  /// The JSON of a state that nobody touched; empty for stateless bots.
  virtual const std::string& untouched() const = 0;

 private:
  struct press {
    std::uint64_t what;
    std::int64_t at_ms;
  };

  void attempt(const turn_event& what, const turn_scene& scene,
               turn_result& result);
  void dispatch(turn_context& turn, turn_result& result);
  void finish(turn_context& turn, effects& wanted);
  void finish_state(bool cleared, effects& wanted);
  void finish_expiry(const turn_scene& scene, effects& wanted);
  void finish_locks(const turn_context& turn, effects& wanted);
  static void load_memo(std::string_view memo, std::vector<press>& presses,
                        std::vector<kept_lock>& locks);
  std::string memo_text() const;
  void expire(turn_context& turn);
  void restore();
  bool repeated(const turn_event& what, std::uint64_t pressed,
                turn_result& result);
  void dump(std::string& text, std::unique_ptr<boost::json::value>& base) const;
  behavior& handlers();

  /// What few chats have: there are a million of them.
  struct extras {
    std::unique_ptr<boost::json::value> unknown;  ///< members, in the state
    std::vector<press> presses;                   ///< of the last two seconds
    std::vector<kept_lock> locks;                 ///< that the chat keeps
    std::vector<behavior> made;  ///< of the second mode and those after it
  };
  extras& more();

  std::string last_;  ///< the state as last read or committed; empty: none
  behavior first_;    ///< of the first mode, once it is needed
  std::unique_ptr<extras> extras_;
  std::int64_t expires_ms_ = 0;  ///< 0: not known, or never
  std::uint16_t mode_ = 0;
  bool torn_ = false;  ///< `restore` failed: try it again
};

template <class State>
struct typed_plan : plan {
  std::vector<std::function<behavior(troupe::chat<State>*)>> makers;
  std::string untouched;
};

template <class State>
class live final : public engine {
 public:
  live(std::shared_ptr<const typed_plan<State>> of, std::string key,
       std::int64_t id)
      : plan_{std::move(of)}, chat_{std::move(key), id} {}

  /// For the test kit.
  const State& state() const noexcept { return chat_.state; }

 protected:
  chat_base& chat() noexcept override { return chat_; }
  const plan& shared() const noexcept override { return *plan_; }
  behavior make(std::size_t mode) override {
    return plan_->makers[mode](&chat_);
  }
  void renew() override { chat_.state = State{}; }
  void read(const boost::json::value& from, bool& unknown) override {
    if constexpr (!stateless<State>()) {
      State fresh{};
      detail::read(from, fresh, path{}, unknown);
      chat_.state = std::move(fresh);
    }
  }
  void write(std::string& text) const override {
    if constexpr (!stateless<State>())
      detail::write(text, chat_.state, path{});
  }
  void keep(boost::json::value& fresh,
            const boost::json::value& old) const override {
    if constexpr (!stateless<State>())
      keep_unknown<State>(fresh, old);
  }
  const std::string& untouched() const override { return plan_->untouched; }

 private:
  std::shared_ptr<const typed_plan<State>> plan_;
  troupe::chat<State> chat_;
};

}  // namespace troupe::detail
