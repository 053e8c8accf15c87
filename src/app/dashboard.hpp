#pragma once

#include <optional>
#include <string_view>

#include "http/http.hpp"

namespace troupe::app {

/// The dashboard's page and what it is made of: files of `dashboard/`, in the
/// program. They hold no figures, so whoever reaches the listener may have
/// them; what they show they ask `/stats/events` and `/admin/` for.
/// @returns nothing if there is no such file
std::optional<http::response> dashboard_file(std::string_view path);

}  // namespace troupe::app
