#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/chat.hpp"
#include "troupe/detail/engine.hpp"
#include "troupe/detail/turn.hpp"

namespace troupe::detail {

/// A call while its turn still refines it.
struct draft {
  std::string method;
  std::optional<std::int64_t> chat;  ///< `chat_id`, unless in `parameters`
  /// Name and JSON, each name once.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string label;
  std::string target;
  bool at_most_once = false;
  bool bound = false;  ///< to its chat: an edit by label, an answer

  void set(std::string_view name, std::string json);
  const std::string* find(std::string_view name) const noexcept;
};

/// What one running turn collects. The thread that runs it finds it in
/// `current_turn`; nobody else does.
struct turn_context {
  turn_context(chat_base& of, const plan& with, const turn_event& what,
               const turn_scene& where);
  turn_context(const turn_context&) = delete;
  turn_context& operator=(const turn_context&) = delete;

  chat_base& chat;
  const plan& shared;
  const turn_event& event;
  const turn_scene& scene;
  std::uint64_t serial;  ///< of this turn in this process
  std::uint64_t random_state;
  std::vector<draft> calls;
  std::vector<wanted_timer> timers;
  std::vector<std::string> cancelled;
  std::vector<wanted_notice> notices;
  std::vector<wanted_broadcast> broadcasts;
  std::vector<wanted_once> once;
  std::vector<wanted_sql> sql;
  std::vector<std::string> tagged, untagged;
  std::span<const kept_lock> kept;    ///< by the chat, before this turn
  std::vector<std::string> unlocked;  ///< of those
  bool keeps_lock = false;            ///< the one this turn is about
  std::optional<std::size_t> next_mode;
  bool cleared = false;
};

/// Makes a turn the thread's current one, and the one before it current again.
class turn_scope {
 public:
  /// @param turn null: none is, as while a behaviour is made.
  explicit turn_scope(turn_context* turn) noexcept;
  ~turn_scope();
  turn_scope(const turn_scope&) = delete;
  turn_scope& operator=(const turn_scope&) = delete;

 private:
  turn_context* before_;
};

/// The turn that runs on this thread, if it is that chat's.
/// @throws std::logic_error if it is not; `what` is what was called
turn_context& turn_of(const chat_base* chat, const char* what);

/// The turn that runs on this thread; null: none does.
turn_context* running_turn() noexcept;

/// Sets a timer, in the place of another of that name.
void put_timer(turn_context& turn, wanted_timer what);
void drop_timer(turn_context& turn, std::string_view name);

/// The draft as the runtime takes it.
wanted_call finished(draft&& d, const chat_base& of, const turn_event& event);

/// True if `chat_id` is filled in for a call without one.
/// @param inline_message the call has an `inline_message_id`
bool takes_own_chat(std::string_view method, bool inline_message);

}  // namespace troupe::detail
