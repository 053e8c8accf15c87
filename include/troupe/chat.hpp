#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/buttons.hpp"
#include "troupe/events.hpp"
#include "troupe/sql.hpp"
#include "troupe/state.hpp"

namespace troupe {

/// A Bot API call that the turn wants, to be refined where it is made:
/// `ctx->reply("...").as("cart").at_most_once()`.
/// **Threads**, **Lifetime**: inside the turn that made it only; after that
/// every use throws std::logic_error.
class outgoing {
 public:
  /// Names the call. Its outcome comes back as `sent` or `failed`, and what it
  /// sent can be edited by this name, also after a restart. A name given again
  /// belongs to the newer call. A chat keeps its latest 256 names.
  outgoing as(std::string label);

  /// Never repeats the call: if its outcome stays unknown, that is final.
  /// Without it an unknown call is sent again, and may arrive twice.
  outgoing at_most_once();

  /// Sends it to another chat.
  /// **Errors**: std::logic_error for edits, answers and other calls that are
  /// bound to this chat.
  outgoing to(std::int64_t chat);

  /// Sets any parameter of the method, replacing what is there:
  /// `.with("parse_mode", "HTML")`.
  outgoing with(std::string_view parameter, const boost::json::value& value);

 private:
  friend class chat_base;
  outgoing(std::uint64_t turn, std::size_t index)
      : turn_{turn}, index_{index} {}
  std::uint64_t turn_;
  std::size_t index_;
};

/// How a broadcast goes out; what is left out has the runtime's defaults.
struct broadcast_options {
  std::string name{};  ///< for people, at most 64 bytes
  unsigned rate = 0;   ///< calls a second at most; 0: limits.bulk_per_second
  /// Not before; within a year. None: at once.
  std::optional<std::chrono::sys_time<std::chrono::milliseconds>> at{};
  /// Repeats a copy whose outcome is unknown: it may arrive twice. Else it is
  /// counted as unknown, and may be missing.
  bool repeat = false;
};

/// The part of `chat<State>` that does not depend on the state: everything a
/// handler can want. Nothing is done before the turn is over and committed; if
/// the handler throws, nothing is done at all.
///
/// **Threads**: inside a turn of this chat, on the thread that runs the
/// handler. Elsewhere (in a thread of your own, in the function that makes the
/// behaviour, in a kept closure) every member but `id` and `key` throws
/// std::logic_error.
/// **Order**: calls to one chat leave one at a time, in the order they were
/// made.
/// **Errors**: std::length_error if a turn wants more than 10,000 calls,
/// timers or notices.
class chat_base {
 public:
  chat_base(const chat_base&) = delete;
  chat_base& operator=(const chat_base&) = delete;

  /// This chat's id: the user's in a private chat, negative in a group; 0 if
  /// what is turned here has no chat (polls).
  std::int64_t id() const noexcept { return id_; }

  /// The written form of what orders this chat's events: "42", "poll:7".
  const std::string& key() const noexcept { return key_; }

  /// Sends a text to this chat (sendMessage).
  outgoing reply(std::string_view text, const buttons& keyboard = {});

  /// Replaces the text of the message that was sent as `label`. Without
  /// `keyboard` its buttons go away. Waiting edits of one message collapse to
  /// the latest. Was nothing sent under that name, it ends as `failed`.
  outgoing edit(std::string_view label, std::string_view text,
                const buttons& keyboard = {});

  /// Answers a press: the app stops waiting and, if `text` is given, shows it.
  /// `.with("show_alert", true)` makes it a dialog.
  outgoing answer(const callback& press, std::string_view text = {});

  /// Any method of the Bot API, with its parameters as an object:
  /// `ctx->call("sendDice", {{"emoji", "🎲"}})`.
  ///
  /// `chat_id` is filled in with this chat's id if the parameters have none
  /// and the method demands one (send*, copy*, forward*, deleteMessage,
  /// getChat*, ban*, pin*, ...), or is an edit, stopMessageLiveLocation,
  /// setGameScore or getGameHighScores without `inline_message_id`. It is
  /// never filled in for sendGift and set/getChatMenuButton, where leaving it
  /// out has a meaning of its own, nor for methods this build does not know.
  /// **Errors**: std::invalid_argument if `method` is not a name, or
  /// `parameters` is neither an object nor null.
  outgoing call(std::string_view method,
                const boost::json::value& parameters = nullptr);

  /// Sets the durable timer `name` of this chat, replacing an older one of
  /// that name; it comes back as `timer` with `body`.
  /// A delay below zero is now.
  /// **Errors**: std::invalid_argument for a name that is empty, longer than
  /// 1024 bytes, or begins with ':' (those are the runtime's own).
  void schedule(std::string_view name, std::chrono::milliseconds delay,
                const boost::json::value& body = nullptr);
  void schedule(std::string_view name,
                std::chrono::sys_time<std::chrono::milliseconds> due,
                const boost::json::value& body = nullptr);

  /// Removes a timer; nothing happens if there is none.
  void cancel(std::string_view name);

  /// Goes on with another of the bot's modes, from the next event on.
  /// **Errors**: std::logic_error for a mode the bot does not have.
  void become(std::string_view mode);

  /// Puts a `notice` into another chat's journal, exactly once.
  void notify(std::int64_t chat, std::string_view text);

  /// Starts a campaign: the text goes to every chat of the audience, once, at
  /// the rate of campaigns and behind all replies. It is one of those that
  /// `broadcast list` shows and that can be paused, resumed and cancelled.
  ///
  /// ```cpp
  /// ctx->broadcast("active 30d, lang=de", "Birnen sind da.");
  /// ```
  ///
  /// @param audience terms with commas between them, which must all hold:
  /// `active 30d`, `idle 30d`, `new 7d`, `lang=de`, `kind=private` (the
  /// default), `kind=group`, `kind=any`; "": all private chats
  /// **Order and repeat**: it begins when this turn is committed, exactly once,
  /// for those who are members then.
  /// **Errors**: std::invalid_argument for what no campaign can be: a term
  /// that nobody understands, a name over 64 bytes, a time over a year away;
  /// std::length_error for the 17th of a turn.
  /// **Cost**: two commits for the campaign; four for each recipient, later.
  void broadcast(std::string_view audience, std::string_view text,
                 const broadcast_options& how = {});

  /// The same with any method that sends to a chat; `chat_id` is filled in for
  /// each: `ctx->broadcast_call("", "sendPhoto", {{"photo", id}})`.
  /// **Errors**: also std::invalid_argument for another method, for parameters
  /// that are no object, hold a `chat_id` or are over 64 KiB.
  void broadcast_call(std::string_view audience, std::string_view method,
                      const boost::json::value& parameters,
                      const broadcast_options& how = {});

  /// True for exactly one turn of all chats on all nodes within `ttl`: what may
  /// happen once is asked for by a key, and done if the answer is true.
  ///
  /// ```cpp
  /// if (ctx->once("charge:" + order, 24h))
  ///   ctx->notify(till, "charge " + order);
  /// ```
  ///
  /// The key is reserved for the event that is turned, before the turn is
  /// committed. If another event has it, this turn's result is thrown away and
  /// the handler runs again, with false: so it may run several times, and only
  /// its last run counts. Do through `ctx` what must be done once.
  /// **Order and repeat**: the event that got true gets it again, at a second
  /// `once` of the turn and when the turn is repeated after a crash, on any
  /// node (an update also as a retried dead letter; anything else counts as a
  /// new event then). Of a turn that failed, or was cut off before its commit
  /// and waits to be repeated, the keys stay reserved for it until `ttl` is
  /// over: false means that another was told true, or is about to be. A timer
  /// that is set again for the very same instant counts as the same event.
  /// **Time**: `ttl` begins right before the commit, and anew with each repeat
  /// of the turn. A commit that does not get through within half of it is not
  /// taken for safe: the turn is run again.
  /// **Errors**: std::invalid_argument for a key that is empty or longer than
  /// 256 bytes, or a ttl below a minute or above ten years; std::length_error
  /// for the 65th key of a turn. A turn that asks for over 64 keys of others
  /// ends as a dead letter.
  /// **Cost**: true: a round trip to the store before the commit, and the key
  /// is kept there for `ttl`. false: that, the record read again, and a run.
  bool once(std::string_view key, std::chrono::milliseconds ttl);

  /// Asks for the lock `name`, which one chat of all on all nodes has at a
  /// time. The answer is an event of this chat: `locked`, or `lock_denied`
  /// after `wait`; other events go on meanwhile.
  ///
  /// ```cpp
  /// ctx->lock("till", 30s);
  /// ...
  /// [=](const locked& l) { ctx->notify(till, "count " + ctx->state.day); },
  /// [=](const lock_denied&) { ctx->reply("Somebody is counting."); },
  /// ```
  ///
  /// The lock is released when the turn of `locked` is committed or has failed
  /// for good, unless it is kept. While that turn runs and is committed nobody
  /// else has it, as long as a commit takes less than half of `ttl` from its
  /// begin to its end: what ran longer is checked before it is committed, and
  /// run again with a new token if somebody else had it meanwhile.
  /// **Order and repeat**: durable as a timer. A request for a name replaces an
  /// earlier one of this chat that waits. Who keeps the lock and asks again
  /// gets it at once, for another `ttl` and with the token it had. Those who
  /// wait are not served in the order they came: each tries again by itself,
  /// after 50 ms at first, then up to every second.
  /// **Errors**: std::invalid_argument for a name that is empty or longer than
  /// 256 bytes, a ttl below 10 s or above a day, or a wait below 0 or above a
  /// week.
  /// **Cost**: a timer; a round trip to the store and a commit for each try,
  /// a round trip to release. If the node dies while it has the lock, others
  /// get it once `ttl` is over.
  void lock(std::string_view name, std::chrono::milliseconds ttl,
            std::chrono::milliseconds wait = std::chrono::seconds{10});

  /// The lock stays with this chat after this turn: until `unlock`, or until
  /// `ttl` is over, counted from when it was granted. Nobody tells the chat of
  /// that end: `lock` again in time, or use the token. A chat whose state has
  /// ended with its ttl has forgotten what it kept.
  /// **Errors**: std::logic_error outside the turn of `got`; std::length_error
  /// for the 17th lock that one chat keeps.
  void keep(const locked& got);

  /// Gives up the lock after this turn is committed, kept or asked for. Nothing
  /// happens if this chat has nothing of that name.
  void unlock(std::string_view name);

  /// Runs one statement of SQL in the transaction that commits this turn: with
  /// it, or not at all. For a store on PostgreSQL only; tables of your own
  /// stand in a schema of your own (the role's search_path counts).
  ///
  /// ```cpp
  /// ctx->sql("UPDATE stock SET n = n - $2 WHERE item = $1", {item, 3});
  /// ```
  ///
  /// Statements run in order, after the handler has ended; whether one found
  /// what it wanted, `changed` tells. A SELECT is for that: its rows come back
  /// to nobody.
  /// **Order and repeat**: once for each committed turn, also if the answer to
  /// the commit is lost or the node dies.
  /// **Failure**: only this turn's. A serialization failure, a deadlock, a lock
  /// or time that was not to be had is a failed attempt, as if the handler had
  /// thrown: three, then a dead letter. What does not get better (a violated
  /// constraint, a type, a table that is not there, an exception of a trigger)
  /// is a dead letter at once, with number and message of the statement; it can
  /// be retried as every other.
  /// **Time**: all statements of a turn together get half of the store's time
  /// limit (`connect_timeout` of its url, 5 s by default), each an equal part.
  /// Four turns of a node at a time commit with SQL; other turns do not wait
  /// for them.
  /// **Errors**: std::logic_error if the store is not PostgreSQL;
  /// std::invalid_argument if `text` does not begin with SELECT, INSERT,
  /// UPDATE, DELETE, MERGE or WITH (a turn's transaction is not the handler's
  /// to end) or is longer than 64 KiB; std::length_error for the 65th statement
  /// of a turn or over 1,000 parameters. A turn of whose statements over 64
  /// changed nothing where they should ends as a dead letter.
  /// **Cost**: two round trips to the server and an fsync there that it shares
  /// with no other turn.
  statement sql(std::string_view text, std::vector<sql_value> params = {});

  /// What this event is called, at every attempt to turn it, after a crash and
  /// on every node: no other event of this bot has that name. For business data
  /// outside the turn's transaction (another database, a payment service): use
  /// it as the key by which a second attempt is known. A dead letter that is
  /// retried has a new name, unless it is an update; a timer that is set again
  /// for the very same instant has the old one.
  std::string turn_id() const;

  /// Marks this chat in the audience, for broadcasts to `tag=NAME` and for
  /// `audience export`; kept until it is taken away here or by an operator,
  /// also over the end of the state. A chat that was no member becomes one.
  /// **Order and repeat**: a tag that is there stays; the turn's last word on
  /// a tag counts.
  /// **Errors**: std::invalid_argument unless it is 1 to 64 printable ASCII
  /// characters without blanks and commas; std::logic_error where there is no
  /// chat (polls); std::length_error for more than 16 tags in one turn. A chat
  /// keeps 16: one more is left out when the turn is committed, and logged as
  /// `tag_left_out`.
  void tag(std::string_view name);
  /// Takes the tag away; nothing happens if it is not there.
  void untag(std::string_view name);

  /// Wall time of this turn: one value for the whole turn.
  std::chrono::sys_time<std::chrono::milliseconds> now() const;

  /// A random number that comes out the same when this turn is run again. Not
  /// for secrets.
  std::uint64_t random();
  /// The same, below `end` (> 0), without bias.
  std::uint64_t random(std::uint64_t end);

 protected:
  chat_base(std::string key, std::int64_t id) : key_{std::move(key)}, id_{id} {}
  ~chat_base() = default;
  /// Notes that the state is to be dropped. Throws outside a turn.
  void note_cleared();

 private:
  std::string key_;
  std::int64_t id_;
};

/// What a behaviour is given: its chat's durable state, and what it can do.
/// @tparam State a default-constructible struct described with
/// BOOST_DESCRIBE_STRUCT (see state.hpp), or `std::monostate` for none.
template <class State>
class chat : public chat_base {
  static_assert(detail::usable_state<State>(),
                "describe your state with BOOST_DESCRIBE_STRUCT(type, (), "
                "(members...)), or use std::monostate if there is none");

 public:
  chat(std::string key, std::int64_t id) : chat_base{std::move(key), id} {}

  /// Read and write it inside handlers; it is saved when the turn commits, and
  /// is what it was before if the handler throws.
  State state{};

  /// Drops the state: `state` is a new one, and nothing is kept in the store
  /// unless the handler changes it again.
  void clear() {
    note_cleared();
    state = State{};
  }
};

}  // namespace troupe
