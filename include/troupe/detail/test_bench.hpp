#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/detail/turn.hpp"
#include "troupe/events.hpp"

namespace troupe::detail {

/// Keys of `once` and locks that chats of one test have.
struct test_keys {
  struct held {
    std::string holder;
    std::int64_t until_ms = 0;
    std::uint64_t token = 0;
  };
  std::map<std::string, held, std::less<>> all;
  std::uint64_t last_token = 0;

  /// @returns its token; 0 if it is another's
  std::uint64_t take(const std::string& name, const std::string& holder,
                     std::int64_t now_ms, std::int64_t ttl_ms);
  void free(const std::string& name, const std::string& holder);
};

/// The part of the test kit that needs no template: a store, a Telegram and a
/// clock of one chat.
class test_bench {
 public:
  using spawner = std::function<std::unique_ptr<live_chat>()>;

  test_bench(std::int64_t chat, spawner spawn);

  void text(std::string_view text);
  void press(std::string_view button);
  void press_again();
  void notice(std::string_view text, std::string_view from);
  void update(std::string_view json, std::chrono::milliseconds waited);
  void advance(std::chrono::milliseconds by);
  void restart();
  void refuse_next(int code, std::string description);
  void lose_next();

  /// What the database makes of a statement: how many rows it changes.
  std::function<std::size_t(const std::string&)> database =
      [](const std::string&) { return std::size_t{1}; };
  std::shared_ptr<test_keys> keys = std::make_shared<test_keys>();

  live_chat& live() noexcept { return *live_; }
  std::chrono::sys_time<std::chrono::milliseconds> now() const noexcept;
  std::string stored(std::string_view what) const;
  bool holds_lock(std::string_view name) const;

  person speaker;
  std::string username;
  unsigned attempts = 3;
  std::vector<std::string> sent;
  boost::json::array calls;
  std::vector<std::string> dead_letters;
  std::vector<std::string> notices;
  std::vector<std::string> statements;
  boost::json::array broadcasts;
  std::vector<std::string> turns;  ///< how each event ended
  std::map<std::string, std::int64_t, std::less<>> timers;  ///< name, due
  std::set<std::string, std::less<>> tags;

 private:
  struct fault {
    bool unknown = false;
    int code = 0;
    std::string description;
  };
  struct pressed {
    std::int64_t message = 0;
    std::string data;
    std::int64_t at_ms = 0;
  };

  void accept(turn_event event);
  void settle_down();
  void turn(const turn_event& event);
  bool reserve(const effects& wanted, const std::string& holder,
               std::vector<std::string>& taken);
  bool execute(const effects& wanted, std::vector<std::string>& unchanged);
  void load();
  void commit(effects&& wanted);
  void settle(const wanted_call& call);
  std::optional<fault> fault_of(const wanted_call& call, std::int64_t& message);
  void remember(const wanted_call& call, const boost::json::object& body,
                std::int64_t message);
  void report(const wanted_call& call, const boost::json::object& body,
              const std::optional<fault>& wrong, std::int64_t message);
  void fire(const std::string& name);
  void fire_lock(turn_event event);
  turn_event take_timer(const std::string& name);
  void fire_due_locks();
  void release_locks(const turn_event& event, const turn_result& result);
  void send_press(const pressed& what);
  boost::json::value message_json(std::int64_t id) const;
  boost::json::value person_json() const;
  boost::json::value chat_json() const;
  bool own_chat(const boost::json::object& body) const;

  std::int64_t chat_;
  spawner spawn_;
  std::unique_ptr<live_chat> live_;
  std::int64_t now_ms_ = 1'700'000'000'000;
  std::int64_t next_update_ = 1'000;
  std::int64_t next_message_ = 100;
  std::uint64_t seed_ = 1;

  // What a store would hold.
  std::string state_, mode_, memo_;
  std::optional<std::int64_t> expires_ms_;
  std::map<std::string, std::int64_t, std::less<>> labels_;
  std::map<std::string, std::string, std::less<>> timer_bodies_;
  std::deque<turn_event> journal_;

  // What Telegram would hold.
  std::map<std::int64_t, boost::json::value> keyboards_;
  std::deque<fault> faults_;
  std::optional<pressed> last_press_;
};

}  // namespace troupe::detail
