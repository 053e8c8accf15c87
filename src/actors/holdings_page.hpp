#pragma once

#include <string>

#include "core/json.hpp"
#include "store/kept.hpp"

/// What is kept about a chat, for people. Without CAF.
namespace troupe::actors {

/// {"records", "entries", "calls", "timers", "dead_letters", "members", "tags"}
json::object page_of(const store::holdings& what);

/// {"chat", "removed", "left"}
std::string forgotten_page(const chat_key& key, const store::holdings& removed,
                           const store::holdings& left);

}  // namespace troupe::actors
