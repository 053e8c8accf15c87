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
    : limits_{limits}, global_{limits.global_per_second, 1s} {}

bool traffic::limited() const noexcept {
  return limits_.global_per_second + limits_.chat_per_second +
             limits_.group_per_minute >
         0;
}

void traffic::add(const attempt& a) {
  auto window = a.chat < 0 ? sliding_window{limits_.group_per_minute, 60s}
                           : sliding_window{limits_.chat_per_second, 1s};
  auto& in = chats_.try_emplace(a.chat, chat{window, 0, 0}).first->second;
  bool too_early = (a.arrived >= in.quiet_from && a.arrived < in.quiet_until) ||
                   a.limit == "frozen" || a.limit == "bot";
  if (too_early)
    ++sums_.retry_after_violations;
  if (a.refused) {
    refuse(a, too_early);
    if (a.answered >= in.quiet_until)
      in.quiet_from = a.answered;
    in.quiet_until =
        std::max(in.quiet_until, a.answered + a.retry_after * 1'000'000);
  }
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

// A refusal by a limit means that the bot would have overfilled the window.
void traffic::refuse(const attempt& a, bool too_early) {
  ++sums_.answers_429;
  if (a.unprovoked)
    ++sums_.answers_429_unprovoked;
  else if (a.limit == "global")
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

void traffic::refused_elsewhere(bool unprovoked) {
  ++sums_.answers_429;
  if (unprovoked)
    ++sums_.answers_429_unprovoked;
}

void traffic::conclude(verdict& into, unsigned stretch_seconds,
                       std::int64_t first_update) const {
  into.replies = sums_.replies;
  into.answers_429 = sums_.answers_429;
  into.answers_429_unprovoked = sums_.answers_429_unprovoked;
  into.limit_violations_global = sums_.limit_violations_global;
  into.limit_violations_chat = sums_.limit_violations_chat;
  into.limit_violations_group = sums_.limit_violations_group;
  into.retry_after_violations = sums_.retry_after_violations;
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
