#include "app/reload.hpp"

#include <algorithm>
#include <array>

#include "app/commands.hpp"
#include "app/node_link.hpp"

namespace troupe::app {
namespace {

constexpr std::array<std::string_view, 6> reloadable{
    "bot.allowed_updates",    "limits.global_per_second",
    "limits.chat_per_second", "limits.group_per_minute",
    "limits.bulk_per_second", "log.level"};

std::string shown(const settings& of, const key_spec& key) {
  if (const auto* text = std::get_if<std::string settings::*>(&key.slot))
    return of.*(*text);
  return std::to_string(of.*std::get<std::int64_t settings::*>(key.slot));
}

void copy(const key_spec& key, const settings& from, settings& to) {
  std::visit([&](auto slot) { to.*slot = from.*slot; }, key.slot);
}

bool can_reload(const key_spec& key, const settings& now,
                const settings& wanted) {
  if (key.name == "limits.global_per_second" &&
      (now.limits_global_per_second == 0) !=
          (wanted.limits_global_per_second == 0))
    return false;
  return std::ranges::find(reloadable, key.name) != reloadable.end();
}

const json::array& list_of(const json::object& page, std::string_view name) {
  static const json::array none;
  const json::value* at = page.if_contains(name);
  return at != nullptr && at->is_array() ? at->get_array() : none;
}

}  // namespace

reload_plan plan_reload(const settings& now, const settings& wanted) {
  reload_plan out{now, {}, {}};
  for (const key_spec& key : keys()) {
    const std::string before = shown(now, key);
    const std::string after = shown(wanted, key);
    if (before == after)
      continue;
    if (!can_reload(key, now, wanted)) {
      out.restart.emplace_back(key.name);
      continue;
    }
    copy(key, wanted, out.next);
    out.changed.push_back(std::string{key.name} + ": " + before + " -> " +
                          after);
  }
  return out;
}

json::object to_json(const reload_plan& plan) {
  return {
      {"changed", json::array(plan.changed.begin(), plan.changed.end())},
      {"needs_restart", json::array(plan.restart.begin(), plan.restart.end())}};
}

int reload(const settings& with, const invocation& call, console& talk) {
  const auto failed = [&](const error& e) {
    talk.say("reload: " + (e.context.empty() ? to_string(e) : e.context));
    return exit_failed;
  };
  const auto node = find_running(with);
  if (!node)
    return failed(node.error());
  http::request what;
  what.method = "POST";
  what.target = "/admin/reload";
  const auto page = fetch(**node, std::move(what));
  if (!page)
    return failed(page.error());
  if (call.json) {
    talk.data(json::serialize(*page));
    return exit_ok;
  }
  const auto& changed = list_of(*page, "changed");
  const auto& restart = list_of(*page, "needs_restart");
  for (const auto& one : changed)
    talk.data(std::string{one.as_string()});
  for (const auto& one : restart)
    talk.data(std::string{one.as_string()} + ": needs a restart");
  if (changed.empty() && restart.empty())
    talk.say(
        "nothing is different (flags and environment stay as they were at "
        "the node's start)");
  return exit_ok;
}

}  // namespace troupe::app
