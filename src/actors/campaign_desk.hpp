#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "actors/campaign.hpp"
#include "actors/services.hpp"
#include "core/json.hpp"

/// Where people hand campaigns in and ask after them. A command is accepted
/// like an update, with an id of ours below zero; what is shown is read from
/// the store, so that any node can. **Threads**: any.
namespace troupe::actors {

/// On the stats page.
inline constexpr std::size_t campaigns_shown = 20;

/// Of a command: below zero, where Telegram's never are, and different on each
/// node.
update_id command_id(wall_time now);

/// As the limits are now.
campaign_pace campaign_pace_of(const services& in);

/// See `node`.
void start_campaign(const std::shared_ptr<services>& shared,
                    const std::string& command, callback<std::string> done);
void steer_campaign(const std::shared_ptr<services>& shared,
                    std::int64_t number, const std::string& what,
                    callback<std::string> done);
void show_campaigns(const std::shared_ptr<services>& shared,
                    std::int64_t number, callback<std::string> done);

/// Pages of the latest, newest first.
void list_campaigns(const std::shared_ptr<services>& shared, std::size_t most,
                    callback<json::array> done);

}  // namespace troupe::actors
