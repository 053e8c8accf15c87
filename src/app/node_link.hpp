#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/settings.hpp"
#include "core/json.hpp"
#include "http/client.hpp"
#include "store/store.hpp"

namespace troupe::app {

/// How a command reaches the bot's pages (`stats_pages`): through the running
/// node's stats listener, or else with the store in its own hands.
class node_link {
 public:
  virtual ~node_link() = default;
  /// True if a node answers, false if this is the store alone.
  virtual bool running() const noexcept = 0;
  /// **Errors**: `errc::unavailable` or `errc::timed_out` if there is no
  /// answer; a page's own error counts as an answer.
  virtual result<http::response> ask(http::request what) = 0;
};

/// Asks for a page and reads its JSON; a page's error becomes ours, with its
/// text for a person as `context`.
result<json::object> fetch(node_link& node, http::request what);

/// A member as text; empty if it is not there, or null.
std::string text_of(const json::object& from, std::string_view name);

/// The running node of these settings.
/// **Errors**: `errc::unavailable`: nobody answers, or stats.listen is empty;
/// `errc::conflict`: somebody answers who does not take our token.
result<std::unique_ptr<node_link>> find_running(const settings& from);

/// The running node, or else the store itself, opened for as long as the link
/// lives. Never creates a store.
/// **Errors**: `errc::not_found` if there is no store yet; else as
/// `store::open`, with what the search for a node found.
result<std::unique_ptr<node_link>> find_node(const settings& from);

}  // namespace troupe::app
