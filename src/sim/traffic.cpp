#include "sim/traffic.hpp"

#include <algorithm>

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::int64_t tenth = 100'000;
// A log may claim any time; a day in tenths is what we count.
constexpr std::int64_t most_tenths = 864'000;

mono_time at(std::int64_t us) {
  return mono_time{std::chrono::microseconds{us}};
}

std::uint64_t most_within(const std::vector<std::uint32_t>& counts,
                          std::size_t width) {
  std::uint64_t sum = 0, most = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sum += counts[i];
    if (i >= width)
      sum -= counts[i - width];
    most = std::max(most, sum);
  }
  return most;
}

}  // namespace

traffic::traffic(limit_options limits)
    : limits_{limits},
      global_{limits.global_per_second, 1s},
      global_attempts_{global_} {}

bool traffic::limited() const noexcept {
  return limits_.global_per_second + limits_.chat_per_second +
             limits_.group_per_minute >
         0;
}

// Judges a call against what was announced, and notes what it heard itself.
// A freeze of the whole bot is one of its sends; only the latest can hold.
bool traffic::comes_early(const attempt& a, span& quiet, bool is_send) {
  bool in_chat = quiet.holds(a.arrived) || a.limit == "frozen";
  bool in_bot = a.limit == "bot";
  auto all = is_send ? freezes_.size() : 0;
  for (auto i = all > 4 ? all - 4 : 0; i < all; ++i)
    in_bot = in_bot || freezes_[i].holds(a.arrived);
  sums_.retry_after_violations += in_chat || in_bot;
  sums_.retry_after_violations_chat += in_chat;
  sums_.retry_after_violations_bot += in_bot;
  if (a.refused) {
    ++sums_.answers_429;
    sums_.answers_429_unprovoked += a.unprovoked;
    if (a.answered >= quiet.until)
      quiet.from = a.answered;
    quiet.until = std::max(quiet.until, a.answered + a.retry_after * 1'000'000);
  }
  return in_chat || in_bot;
}

void traffic::add(const attempt& a) {
  auto window = a.chat < 0 ? sliding_window{limits_.group_per_minute, 60s}
                           : sliding_window{limits_.chat_per_second, 1s};
  auto& in =
      chats_.try_emplace(a.chat, chat{window, window, {}, 0}).first->second;
  bool too_early = comes_early(a, in.quiet, true);
  check_order(a, in);
  if (a.refused)
    refuse(a, too_early);
  else
    check_attempts(a, in);
  if (!a.recorded)
    return;
  check_windows(a, in);
  sums_.replies += a.cost;
  last_ = std::max(last_, a.arrived);
  auto slot = static_cast<std::size_t>(
      std::clamp<std::int64_t>(a.arrived / tenth, 0, most_tenths));
  if (tenths_.size() <= slot)
    tenths_.resize(slot + 1);
  tenths_[slot] += a.cost;
}

void traffic::add_other(const attempt& a, const std::string& scope) {
  auto found = others_.find(scope);
  if (found == others_.end()) {
    if (!a.refused && a.limit.empty())
      return;
    found = others_.emplace(scope, span{}).first;
  }
  comes_early(a, found->second, false);
}

void traffic::bot_freeze(std::int64_t from, std::int64_t until) {
  ++sums_.bot_freezes;
  freezes_.push_back({from, until});
}

// A chat's calls leave one at a time: each waits for the answer before.
void traffic::check_order(const attempt& a, chat& in) {
  if (a.in_response)
    return;
  if (a.arrived < in.busy_until)
    ++sums_.overlapping_calls;
  if (a.awaited)
    in.busy_until = std::max(in.busy_until, a.answered);
}

// What was not refused for coming too often has spent the limits of whoever
// keeps them, whatever became of it.
void traffic::check_attempts(const attempt& a, chat& in) {
  auto now = at(a.arrived);
  if (in.attempts.fits_at(now, a.cost) > now ||
      global_attempts_.fits_at(now, a.cost) > now)
    ++sums_.attempt_violations;
  in.attempts.enter(now, a.cost);
  global_attempts_.enter(now, a.cost);
}

// A refusal by a limit means that the bot would have overfilled the window.
void traffic::refuse(const attempt& a, bool too_early) {
  if (a.unprovoked)
    return;
  if (a.limit == "global")
    ++sums_.limit_violations_global;
  else if (a.limit == "chat")
    ++sums_.limit_violations_chat;
  else if (a.limit == "group")
    ++sums_.limit_violations_group;
  else if (!too_early)
    ++sums_.limit_violations_global;
}

void traffic::check_windows(const attempt& a, chat& in) {
  auto now = at(a.arrived);
  if (in.window.fits_at(now, a.cost) > now)
    ++(a.chat < 0 ? sums_.limit_violations_group : sums_.limit_violations_chat);
  if (global_.fits_at(now, a.cost) > now)
    ++sums_.limit_violations_global;
  in.window.enter(now, a.cost);
  global_.enter(now, a.cost);
}

void traffic::conclude(verdict& into, unsigned stretch_seconds,
                       std::int64_t first_update) const {
  into.replies = sums_.replies;
  into.answers_429 = sums_.answers_429;
  into.answers_429_unprovoked = sums_.answers_429_unprovoked;
  into.limit_violations_global = sums_.limit_violations_global;
  into.limit_violations_chat = sums_.limit_violations_chat;
  into.limit_violations_group = sums_.limit_violations_group;
  into.attempt_violations = sums_.attempt_violations;
  into.retry_after_violations = sums_.retry_after_violations;
  into.retry_after_violations_chat = sums_.retry_after_violations_chat;
  into.retry_after_violations_bot = sums_.retry_after_violations_bot;
  into.bot_freezes = sums_.bot_freezes;
  into.overlapping_calls = sums_.overlapping_calls;
  if (sums_.replies == 0)
    return;
  into.seconds =
      static_cast<double>(std::max<std::int64_t>(last_ - first_update, 1)) /
      1e6;
  into.replies_per_second =
      static_cast<double>(sums_.replies) / std::max(into.seconds, 0.1);
  into.peak_replies_per_second = static_cast<double>(most_within(tenths_, 10));
  if (limits_.global_per_second == 0)
    return;
  auto stretch = std::clamp(static_cast<std::size_t>(into.seconds),
                            std::size_t{1}, std::size_t{stretch_seconds});
  into.global_utilisation =
      static_cast<double>(most_within(tenths_, stretch * 10)) /
      static_cast<double>(stretch * limits_.global_per_second);
}

}  // namespace troupe::sim
