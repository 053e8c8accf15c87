#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/clock.hpp"
#include "sim/faults.hpp"
#include "sim/limits.hpp"
#include "sim/methods.hpp"
#include "sim/params.hpp"
#include "sim/world.hpp"

namespace troupe::sim {

/// An answer of the Bot API.
struct api_answer {
  unsigned status = 200;
  std::string body;
  unsigned retry_after = 0;  ///< seconds, for 429
  std::string type = "application/json";
};

/// `{"ok":true,"result":...}`
api_answer good(std::string_view result, std::string_view description = {});
/// The error envelope; the status is the code.
api_answer bad(unsigned code, std::string_view description,
               unsigned retry_after = 0);

struct bot_options {
  std::string token = "123456:SIMULATED-token-of-troupe-sim-00";
  limit_options limits;
  fault_rates rates;
  milliseconds answer_delay{0};  ///< how long every call takes
  std::uint64_t seed = 1;
};

/// What became of a call.
struct call_outcome {
  api_answer answer;
  milliseconds delay{0};  ///< the answer leaves so long after the arrival
  bool cut = false;       ///< close the connection instead of answering
  bool recorded = false;  ///< a message was made or changed
  fault_kind fault = fault_kind::none;
  limit_scope limit = limit_scope::none;
  std::int64_t chat = 0;
  std::int64_t message_id = 0;
  unsigned cost = 1;  ///< messages it counts as
  std::string text;
  std::string query;  ///< callback_query_id
  /// It made or changed a freeze of the whole bot.
  std::optional<flood_control::freeze> bot_freeze;
};

/// One bot as Telegram sees its calls: chats, limits, faults. Pure: a call
/// and a time go in, an answer comes out. Everything about updates is in
/// `feed`.
class bot {
 public:
  explicit bot(bot_options how);

  /// What a call meets before anything is done: an announced retry_after, then
  /// a fault. True if `out` is its answer; false if it is to be carried out and
  /// answered as `out` says (late, or not at all).
  bool meet(const method& m, const params& with, moment now, call_outcome& out);
  /// @param m not one of the update methods.
  call_outcome call(const method& m, const params& with, moment now);

  world& chats() noexcept { return world_; }
  faults& troubles() noexcept { return faults_; }
  const std::string& token() const noexcept { return how_.token; }
  std::int64_t id() const noexcept { return id_; }
  /// The bot's User as JSON.
  const std::string& self() const noexcept { return self_; }

 private:
  api_answer carry_out(const method& m, const params& with, moment now,
                       call_outcome& out);
  api_answer send(const method& m, const params& with, moment now,
                  call_outcome& out);
  api_answer send_album(const params& with, moment now, chat& to,
                        call_outcome& out);
  api_answer edit(const method& m, const params& with, moment now, chat& in,
                  call_outcome& out);
  api_answer remove(const params& with, chat* in);
  bool refuse_early(const method& m, moment now, call_outcome& out);
  void refuse(const method& m, moment now, unsigned retry_after,
              call_outcome& out);
  bool refuse_by_limits(moment now, unsigned cost, call_outcome& out,
                        api_answer& answer);
  chat* destination(const params& with, std::string& why);

  bot_options how_;
  std::int64_t id_;
  std::string self_;
  world world_;
  flood_control limits_;
  faults faults_;
  /// Announced for calls that are no sends: by method, chat and query.
  std::unordered_map<std::string, flood_control::freeze> quiet_;
};

}  // namespace troupe::sim
