#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"

/// Private to the settings: what a table of keys can't say.
namespace troupe::app {

/// Looks at values that are well-formed each: do they fit what they are for,
/// and one another? Appends "key: what is wrong" lines.
void check_settings(const settings& what, std::vector<std::string>& problems,
                    std::vector<std::string>& warnings);

}  // namespace troupe::app
