#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/window.hpp"
#include "http/client.hpp"
#include "store/store.hpp"
#include "telegram/call.hpp"

namespace troupe::actors {

/// Both faces of the clock at one moment.
struct moment {
  mono_time mono;
  wall_time wall;
};

/// What became of one attempt at a call.
struct attempt_end {
  /// Telegram's answer, or why there is none.
  std::variant<telegram::answer, http::failure> what;
  std::string result;  ///< the answer's `result`, for labelled calls
};

/// The logic of one chat's (or group's) limiter: its committed calls leave one
/// at a time, in order, inside the chat's window, and are repeated or given up
/// as their outcomes say. A campaign's call that no attempt was made at lets
/// later interactive ones pass for a minute (docs/adr/0023).
///
/// A state machine without I/O: feed it events, do the actions it appends.
/// **Threads**: one.
class lane {
 public:
  struct options {
    chat_key to;
    unsigned limit = 1;  ///< messages per period; 0: none
    milliseconds period{1000};
    milliseconds margin{1000};
    bool global = true;         ///< there is a global budget
    bool count_replies = true;  ///< replies spend it
    /// An attempt begins only after the store knows of the last one, so that
    /// after a crash at most one is unknown: for windows that outlast a
    /// restart.
    bool settle_each = false;
    milliseconds retry_first{500};
    milliseconds retry_max{30'000};
  };

  // -- actions ----------------------------------------------------------------
  /// Ask the global limiter for a permit; answer with `permit`.
  struct ask {
    unsigned cost;
    bool bulk;
  };
  /// Give a permit back: the call was answered, or never arrived.
  struct give_back {
    window::ticket permit;
    mono_time at;
    bool arrived;
  };
  /// How traces know a call, and what they say of it.
  struct origin {
    std::uint64_t event;  ///< see `store::call`
    mono_time since;      ///< when the lane got it
    unsigned attempts;    ///< begun, this one included
  };
  /// Make the call; answer with `answered`.
  struct send {
    call_id id;
    bool labelled;
    std::string method;
    store::payload body;
    chat_key from;
    /// Not to be begun after: the budget takes it to have arrived soon after.
    mono_time begin_by;
    origin of;
  };
  /// Record an outcome; answer with `marked` if so told.
  struct settle {
    store::settlement what;
    wall_time accepted_at;  ///< of the event that the call answers
    bool reply;
    bool tell;
    std::string method;
    origin of;
  };
  /// Load the bodies of these calls; answer with `fetched`.
  struct fetch {
    /// By the chats that committed them, since ids are unique per shard only.
    std::vector<std::pair<chat_key, std::vector<call_id>>> which;
  };
  /// Look the label's message up; answer with `resolved`. Without a label:
  /// whether the owner has a record.
  struct resolve {
    chat_key owner;
    std::string label;
  };
  /// A 429 came; tell the global limiter.
  struct flood {
    milliseconds retry_after;
  };
  /// Something a person should know.
  /// A call left the lane with nothing to settle: its outcome is known already.
  struct forget {};
  struct report {
    std::string event;
    std::string text;
  };
  using action = std::variant<ask, give_back, send, settle, fetch, resolve,
                              flood, forget, report>;
  using actions = std::vector<action>;

  explicit lane(options how);

  // -- events -----------------------------------------------------------------
  void push(store::call what, moment now, actions& out);
  /// @param granted from when on the budget counts the call
  /// @param bulk it was asked for as such
  void permit(window::ticket which, mono_time granted, moment now, actions& out,
              bool bulk = false);
  void answered(call_id which, chat_key from, attempt_end end, moment now,
                actions& out);
  /// Also when stopped meanwhile: what is marked as attempted leaves.
  void marked(call_id which, moment now, actions& out);
  /// @param found what is still in the outbox of the calls asked for
  void fetched(std::vector<store::call> found, moment now, actions& out);
  /// The store could not answer `fetch`, `resolve` or `attempting`: try again.
  void failed(moment now, actions& out);
  /// @param message_id 0 if the label has no message, or the owner no record
  void resolved(const std::string& label, std::int64_t message_id, moment now,
                actions& out);
  /// That chat is forgotten: what it has waiting here does not leave, but for
  /// the call that is about to.
  void drop_from(const chat_key& from, moment now, actions& out);
  /// Time passed.
  void tick(moment now, actions& out);

  /// When `tick` is wanted, if ever.
  std::optional<mono_time> wake() const;

  /// Stop beginning new attempts (drain); what is under way may end.
  void stop() noexcept { stopped_ = true; }

  /// Nothing at all begins before (a 429 that is the whole bot's).
  void freeze(mono_time until) noexcept { frozen_ = std::max(frozen_, until); }

  /// Another limit was configured for this kind of chat.
  void configure(unsigned limit, mono_time now) {
    if (limit == how_.limit)
      return;
    how_.limit = limit;
    how_.settle_each = how_.to.is_group() && limit != 0;
    window_.configure(limit, now);
    window_at_.reset();
  }

  /// Counts what was sent to this chat before this lane existed.
  void spend(mono_time at, unsigned messages) { window_.spend(at, messages); }
  /// The same of the call that an earlier owner may have had under way: if this
  /// one ends before that call does, the next could not know of it.
  void inherit(mono_time at, const store::call& first);

  std::size_t waiting() const noexcept {
    return queue_.size() + express_.size();
  }
  /// Calls under way.
  std::size_t in_flight() const noexcept;
  /// From when on a lane made anew would behave the same; `mono_time::max()`
  /// while calls wait.
  mono_time clear_at() const;
  mono_time frozen_until() const noexcept {
    return std::max(not_before_, frozen_);
  }
  const window& budget() const noexcept { return window_; }
  /// What the head waits for, in a word, for the stats page.
  std::string_view waits_for() const noexcept;

  /// Calls with bodies in memory; those behind them are fetched when due.
  static constexpr std::size_t loaded = 16;

 private:
  enum class step : std::uint8_t {
    idle,
    fetching,
    resolving,
    marking,
    wanting_permit,
    permitted,
    sending,
    settling
  };
  struct item {
    store::call call;
    telegram::lane kind = telegram::lane::chat;
    std::uint16_t cost = 1;
    unsigned attempts = 0;
    std::string edits;  ///< edits: which message, as text
    mono_time since;
    mono_time not_before{};  ///< express only
    bool flying = false;     ///< express only
    bool asked = false;      ///< its body is under way from the store
    bool may_move = false;   ///< to where its chat has moved

    origin of() const { return {call.event, since, attempts}; }
  };

  item make_item(store::call what, moment now) const;
  void collapse(const item& newer, actions& out);
  bool yields(std::size_t i, moment now) const;
  void enqueue(item x, moment now);
  void advance(moment now, actions& out);
  bool prepare_head(moment now, actions& out);
  bool resolve_head(item& head, actions& out);
  void move_resolved(bool known, moment now, actions& out);
  bool has_room(const item& head, moment now, actions& out);
  mono_time last_start(const item& head, moment now) const;
  milliseconds time_to_begin() const;
  void drop_permit(moment now, actions& out);
  void head_ended(attempt_end& end, moment now, actions& out);
  void express_ended(std::size_t i, attempt_end& end, moment now, actions& out);
  void advance_express(moment now, actions& out);
  void finish_head(store::call_outcome how, const attempt_end* end, moment now,
                   actions& out);
  void settle_item(const item& what, store::call_outcome how,
                   const attempt_end* end, moment now, actions& out,
                   bool left) const;
  void drop_all(const telegram::answer& why, moment now, actions& out);
  milliseconds backoff(unsigned attempts) const;

  options how_;
  window window_;
  std::deque<item> queue_;
  std::vector<item> express_;
  std::unordered_map<std::string, std::int64_t> labels_;
  step step_ = step::idle;
  call_id unsettled_{};  ///< while `settling`
  window::ticket ticket_ = 0;
  window::ticket permit_ = 0;
  bool has_permit_ = false;
  mono_time permitted_at_{};
  bool bulk_asked_ = false;  ///< for a permit; it comes whoever is the head
  unsigned bulk_cost_ = 0;   ///< that it will be for
  std::int64_t moved_to_ = 0;
  bool moved_told_ = false;  ///< to the audience
  mono_time not_before_{};   ///< the head's next attempt
  mono_time frozen_{};       ///< everything's
  std::optional<mono_time> window_at_;
  /// Messages that may have arrived and that the store does not know of.
  unsigned unsaved_ = 0;
  bool stopped_ = false;
  bool marked_ = false;  ///< the head, just now
};

/// The journal event of a labelled call (its JSON is documented at
/// `detail::turn_event::source::outcome`).
std::string outcome_event(const store::call& what, store::call_outcome how,
                          const attempt_end* end);

/// The dead letter of a refused call: JSON {"method", "body", "label",
/// "at_most_once": true if it was}.
std::string dead_call(const store::call& what);

/// A label belongs to the chat that gave it: several may send to one chat.
std::string label_of(const chat_key& from, const std::string& name);

}  // namespace troupe::actors
