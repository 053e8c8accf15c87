#pragma once

#include <string>

#include "app/stats_pages.hpp"

namespace troupe::app {

/// | page | |
/// |---|---|
/// | `GET /admin/campaigns` | the latest hundred, newest first |
/// | `GET /admin/campaigns/<id>` | one |
/// | `POST /admin/campaigns` | starts one: see `actors::node` |
/// | `POST /admin/campaigns/<id>/pause`, `/resume`, `/cancel` | |
inline constexpr std::string_view campaigns_path = "/admin/campaigns";

/// Answers one of them with JSON.
/// **Errors**: `errc::bad_input`, `errc::not_found`, and what the node says.
void campaign_page(const http::request& what, node_view& node,
                   callback<std::string> done);

}  // namespace troupe::app
