// What the runtime keeps for itself in a chat's record: the presses of the last
// two seconds, and the locks that the chat keeps.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "actors/turn_context.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "troupe/detail/engine.hpp"
#include "troupe/detail/json_text.hpp"

namespace troupe::detail {

namespace {

// A press that an app sends again after losing its connection (TELEGRAM.md
// 26) comes right after; people need longer to mean it twice.
constexpr std::int64_t same_press_ms = 2'000;
// A busy group can't make the memo grow.
constexpr std::size_t most_presses = 16;

[[noreturn]] void not_ours() {
  throw std::runtime_error{"the chat's memo is not ours"};
}

// The pair lists under `name`; a memo of before may lack one.
template <class Take>
void each_pair(const json::value& memo, const char* name, Take&& take) {
  const auto* list =
      memo.is_object() ? memo.get_object().if_contains(name) : nullptr;
  if (!list && memo.is_object())
    return;
  if (!list || !list->is_array())
    not_ours();
  for (const auto& p : list->get_array()) {
    if (!p.is_array() || p.get_array().size() != 2)
      not_ours();
    take(p.get_array()[0], p.get_array()[1]);
  }
}

}  // namespace

void engine::load_memo(std::string_view memo, std::vector<press>& presses,
                       std::vector<kept_lock>& locks) {
  if (memo.empty())
    return;
  const auto v = parse_exact(memo);
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  const path at{nullptr, "memo"};
  each_pair(v, "presses", [&](auto& what, auto& when) {
    presses.push_back(
        {read_unsigned(what, most, at), read_signed(when, 0, most, at)});
  });
  each_pair(v, "locks", [&](auto& name, auto& holder) {
    if (!name.is_string() || !holder.is_string())
      not_ours();
    locks.push_back(
        {std::string{name.get_string()}, std::string{holder.get_string()}});
  });
}

std::string engine::memo_text() const {
  std::string memo = "{\"presses\":[";
  for (const auto& p : extras_->presses) {
    memo += &p == extras_->presses.data() ? "[" : ",[";
    write_unsigned(memo, p.what);
    memo.push_back(',');
    write_signed(memo, p.at_ms);
    memo.push_back(']');
  }
  if (!extras_->locks.empty())
    memo += "],\"locks\":[";
  for (const auto& l : extras_->locks) {
    memo += &l == extras_->locks.data() ? "[" : ",[";
    append_json_string(memo, l.name);
    memo.push_back(',');
    append_json_string(memo, l.holder);
    memo.push_back(']');
  }
  return memo + "]}";
}

/// True if this press was turned already; else it is remembered.
bool engine::repeated(const turn_event& what, std::uint64_t pressed,
                      turn_result& result) {
  auto& presses = more().presses;
  for (const auto& p : presses)
    if (p.what == pressed && what.accepted_ms < p.at_ms + same_press_ms &&
        what.accepted_ms > p.at_ms - same_press_ms) {
      result.how = turn_result::end::repeated;
      return true;
    }
  std::erase_if(presses, [&](const auto& p) {
    return p.what == pressed || p.at_ms + same_press_ms <= what.accepted_ms;
  });
  if (presses.size() == most_presses)
    presses.erase(presses.begin());
  presses.push_back({pressed, what.accepted_ms});
  result.wanted.memo = memo_text();
  return false;
}

/// What the chat keeps from here on, and what it gives up.
void engine::finish_locks(const turn_context& turn, effects& wanted) {
  const auto& e = turn.event;
  const bool got = e.from == turn_event::source::lock && e.token != 0;
  wanted.keeps_lock = turn.keeps_lock;
  if (turn.unlocked.empty() && !(got && (turn.keeps_lock || extras_)))
    return;
  auto& locks = more().locks;
  const auto before = locks.size();
  for (const auto& name : turn.unlocked) {
    auto it = std::ranges::find(locks, name, &kept_lock::name);
    if (it == locks.end())
      continue;
    wanted.unlocked.push_back(std::move(*it));
    locks.erase(it);
  }
  bool changed = locks.size() != before;
  if (got) {
    changed |=
        std::erase_if(locks, [&](auto& l) { return l.name == e.name; }) > 0;
    if (turn.keeps_lock)
      locks.push_back({e.name, e.holder});
    changed |= turn.keeps_lock;
  }
  if (changed)
    wanted.memo = memo_text();
}

}  // namespace troupe::detail
