#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.hpp"
#include "tests/system/process.hpp"
#include "tests/system/wire.hpp"

namespace troupe::system_test {

inline const std::string token = "123456:SYSTEM-token_of-the-tests-0000000000";
inline const std::string secret = "system-hook-secret";

/// Parses what must be a JSON object.
json::object object(const std::string& text);
std::int64_t number(const json::object& from, const std::string& name);

/// A call as the simulator logged it; times in µs of its clock.
struct logged_call {
  std::string method;
  std::int64_t chat = 0;
  std::string text;
  std::int64_t arrived = 0;
  std::int64_t answered = 0;
  bool recorded = false;
};

/// The simulated Telegram and a bot at its webhook, each a process, on private
/// ports, with everything in one folder.
class stage {
 public:
  using environment = std::map<std::string, std::string>;

  /// Starts the simulator. @param flags more of its flags
  /// @param more more of the bot's environment
  explicit stage(const std::vector<std::string>& flags, environment more = {},
                 std::string bot_name = "counter");

  /// Starts the bot and returns at once.
  void launch_bot();
  bool ready();
  /// Starts the bot and waits until it is ready.
  void start_bot();
  /// Runs another command of the bot, in the same settings.
  ending command(const std::vector<std::string>& args);

  process& bot() { return *bot_; }
  process& sim() { return *sim_; }
  const scratch& folder() const { return folder_; }
  environment& settings() { return settings_; }
  const std::string& bot_name() const { return bot_name_; }
  std::uint16_t bot_port() const { return bot_port_; }
  std::uint16_t stats_port() const { return stats_port_; }
  std::uint16_t sim_port() const { return sim_port_; }

  /// A user writes. @returns the update's id
  std::int64_t write(std::int64_t chat, const std::string& text);
  json::object sim_state();
  std::string phase();
  json::object stats();
  /// Nothing waits any more: not at Telegram, not in the journal, not in the
  /// outbox.
  bool idle();
  /// Asks the bot, then the simulator, to end; both must end well.
  void stop();
  void stop_bot();
  void stop_sim();

  /// What `troupe sim verify` says, after `stop_sim` or once a run is over.
  /// @param log another one than this simulator's
  json::object verdict(const std::vector<std::string>& flags = {},
                       const std::string& log = {});
  std::vector<logged_call> calls(const std::string& log = {}) const;
  /// Monotonic µs of the simulator's clock, from wall-clock ms.
  std::int64_t sim_time(std::int64_t wall_ms) const;
  std::string log_file() const { return folder_ / "sim.jsonl"; }
  /// All that was said by all programs.
  std::string said() const;

 private:
  wire& talk();

  scratch folder_;
  std::string bot_name_;
  std::uint16_t bot_port_;
  std::uint16_t stats_port_;
  std::uint16_t sim_port_ = 0;
  environment settings_;
  std::optional<wire> talk_;
  std::unique_ptr<process> sim_;
  std::unique_ptr<process> bot_;
  int commands_ = 0;
};

}  // namespace troupe::system_test
