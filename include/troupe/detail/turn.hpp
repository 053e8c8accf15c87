#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The pure turn: the seam between the runtime, which moves events and commits
/// effects, and a bot's behaviour, which only sees a `chat<State>*`. Nothing
/// here does I/O, reads a clock or starts a thread.
namespace troupe::detail {

/// One thing to turn, as it stands in the journal (or the timer table).
struct turn_event {
  enum class source : std::uint8_t { update, notice, outcome, timer, lock };

  source from = source::update;
  std::shared_ptr<const std::string> body;  ///< never null
  std::string name;                         ///< of the timer or lock
  std::int64_t accepted_ms = 0;             ///< wall time of acceptance
  std::uint64_t token = 0;                  ///< of the lock; 0: it was denied
  std::string holder;                       ///< of the lock: who has it
};

/// A lock that a chat keeps, and by which name the store knows the chat.
struct kept_lock {
  std::string name;
  std::string holder;
};

/// All that a turn may depend on besides its event and its record, so that a
/// rerun gives the same result.
struct turn_scene {
  std::int64_t now_ms = 0;  ///< wall time of this attempt
  std::uint64_t seed = 0;   ///< derived from the event: same at every attempt
  /// For "/start@name"; empty: not known, then any name is ours.
  std::string_view bot_username = {};
  /// Keys of `once` that other events hold: the answer for them is false.
  std::span<const std::string> taken = {};
  /// Statements (`wanted_sql::key`) that change nothing.
  std::span<const std::string> unchanged = {};
  bool takes_sql = false;          ///< the store can run it
  std::string_view event_id = {};  ///< for `turn_id`
};

/// A statement for the turn's transaction.
struct wanted_sql {
  std::string text;
  std::vector<std::optional<std::string>> params;
  bool must_change = false;  ///< true was said of it
  bool skipped = false;      ///< false was said of it
  std::string key;           ///< what it is known by, at every run
};

/// A key for which `once` said true. That is so only if the runtime reserves
/// it for this event before it commits; else the turn is run again.
struct wanted_once {
  std::string key;
  std::int64_t ttl_ms = 0;
};

struct wanted_call {
  std::string method;
  std::string body;    ///< parameters, a JSON object
  std::string label;   ///< `.as(...)`, or empty
  std::string target;  ///< edits: the label they edit, or empty
  bool at_most_once = false;
  bool reply = false;  ///< answers the update of its own chat
};

struct wanted_timer {
  std::string name;
  std::int64_t due_ms = 0;  ///< wall time
  std::string body;
};

struct wanted_notice {
  std::int64_t chat = 0;
  std::string text;
};

/// A campaign to start: its command, as `actors::campaign::start` takes it.
struct wanted_broadcast {
  std::string command;
};

/// What a turn wants done; nothing of it has happened yet.
struct effects {
  std::optional<std::string> state;  ///< JSON, if it changed; "" clears it
  std::optional<std::string> mode;   ///< if it changed
  std::optional<std::string> memo;   ///< if it changed
  std::optional<std::int64_t> expires_ms;  ///< state's end, wall time
  std::vector<wanted_call> calls;
  std::vector<wanted_timer> timers;
  std::vector<std::string> cancelled;
  std::vector<wanted_notice> notices;
  std::vector<wanted_broadcast> broadcasts;
  std::vector<wanted_once> once;
  std::vector<wanted_sql> sql;
  std::vector<std::string> tagged, untagged;
  bool keeps_lock = false;  ///< the one that the event is about
  std::vector<kept_lock> unlocked;
};

/// The end of one attempt.
struct turn_result {
  enum class end : std::uint8_t {
    done,       ///< turned; `wanted` is what to commit
    unhandled,  ///< no handler took it; `wanted` is empty but for the memo
    stale,      ///< past its useful life, not turned
    repeated,   ///< the same press within 2 s, not turned
    threw,      ///< a handler threw: `error` says what; nothing wanted
  };
  end how = end::done;
  std::string kind;  ///< for logs: "text_message", "command", "timer", ...
  std::string error;
  effects wanted;
  /// From my_chat_member and messages of a private chat, for the audience.
  std::string language;
  enum class standing : std::uint8_t { same, active, blocked, moved };
  standing audience = standing::same;
  std::int64_t moved_to = 0;    ///< `moved`: the group's new id
  std::int64_t moved_from = 0;  ///< the id that it had before, if it told
};

/// Keys that one turn may be told true for, and as many for which false.
constexpr std::size_t most_once = 64;

/// Statements of one turn, and as many that may have changed nothing.
constexpr std::size_t most_sql = 64;

/// One chat's behaviour and state, alive between turns.
/// **Threads**: one at a time.
class live_chat {
 public:
  virtual ~live_chat() = default;

  /// Takes over a record. Empty strings are a chat without one.
  /// @throws std::exception if the state does not fit its type (the text names
  /// the member) or the mode is unknown.
  /// @param expires_ms when state and mode end, wall time; 0: never
  virtual void load(std::string_view state, std::string_view mode,
                    std::string_view memo, std::int64_t expires_ms) = 0;

  /// Turns one event. Never throws. Unless it ended as `done`, the state is
  /// what it was before. A `done` that can't be committed is undone by `load`.
  virtual turn_result run(const turn_event& what, const turn_scene& scene) = 0;
};

/// What `bot<State>` is to the runtime.
class bot_base {
 public:
  virtual ~bot_base() = default;
  /// @param key the written chat key ("42", "-1001", "poll:7")
  /// @param id the chat's id, for replies; 0 where a key has none
  virtual std::unique_ptr<live_chat> spawn(std::string key,
                                           std::int64_t id) const = 0;
};

/// Runs a bot's whole program: configuration, command line, everything.
/// @returns the exit code (0, 1, 2 usage, 78 configuration)
int run_program(int argc, char** argv, std::shared_ptr<const bot_base> bot);

}  // namespace troupe::detail
