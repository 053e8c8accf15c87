#pragma once

#include <string>
#include <string_view>

#include "app/stats_pages.hpp"

namespace troupe::app {

inline constexpr std::string_view audience_path = "/admin/audience";
inline constexpr std::string_view chats_path = "/admin/chats/";

/// Members that one request walks over, whether they are meant or not.
inline constexpr std::size_t audience_page_size = 1'000;

/// | page | |
/// |---|---|
/// | `POST /admin/audience` | `{"audience":FILTER,"after":KEY,"list":BOOL}`:
/// how many of the next thousand members are meant, and with `list` who | |
/// `POST /admin/audience/tag` | `{"tag":TAG,"add":BOOL,"audience":FILTER,
/// "after":KEY}`, or `"chat":KEY` in the place of the last two |
/// | `GET /admin/chats/<key>` | how much is kept about a chat |
/// | `POST /admin/chats/<key>/forget` | see `actors::node::forget` |
///
/// A page of the audience ends with `next`: where the walk goes on, or null.
///
/// Answers one of them with JSON.
/// **Errors**: `errc::bad_input`, `errc::not_found`, and what the store or the
/// node says.
/// **Lifetime**: the store until the answer.
void audience_page(const http::request& what, store::backend& store,
                   node_view& node, wall_time now, callback<std::string> done);

}  // namespace troupe::app
