// Campaigns that a handler starts (docs/adr/0021).

#include <stdexcept>
#include <string>
#include <string_view>

#include "actors/campaign.hpp"
#include "actors/turn_context.hpp"
#include "core/clock.hpp"
#include "core/json.hpp"
#include "troupe/chat.hpp"

namespace troupe {

namespace {

// Each is a campaign of its own, for as many people as the audience has.
constexpr std::size_t most_broadcasts = 16;

}  // namespace

void chat_base::broadcast(std::string_view audience, std::string_view text,
                          const broadcast_options& how) {
  broadcast_call(audience, "sendMessage", {{"text", text}}, how);
}

void chat_base::broadcast_call(std::string_view audience,
                               std::string_view method,
                               const json::value& parameters,
                               const broadcast_options& how) {
  auto& turn = detail::turn_of(this, "broadcast");
  if (turn.broadcasts.size() == most_broadcasts)
    throw std::length_error{"a turn starts over 16 broadcasts"};
  json::object command{{"method", method},     {"params", parameters},
                       {"audience", audience}, {"name", how.name},
                       {"rate", how.rate},     {"repeat", how.repeat}};
  if (how.at)
    command["at_ms"] = how.at->time_since_epoch().count();
  // Else it would come to nothing later, where no handler sees it.
  if (auto good = actors::campaign::start(command, from_ms(turn.scene.now_ms),
                                          actors::campaign_pace{});
      !good)
    throw std::invalid_argument{good.error().context};
  turn.broadcasts.push_back({json::serialize(command)});
}

}  // namespace troupe
