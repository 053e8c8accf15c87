#include "sim/limits.hpp"

#include <algorithm>

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

unsigned seconds_until(mono_time now, mono_time when) {
  auto left = std::chrono::ceil<std::chrono::seconds>(when - now).count();
  return static_cast<unsigned>(std::max<std::int64_t>(left, 1));
}

}  // namespace

std::string_view to_string(limit_scope scope) noexcept {
  switch (scope) {
    case limit_scope::none: return "";
    case limit_scope::global: return "global";
    case limit_scope::chat: return "chat";
    case limit_scope::group: return "group";
    case limit_scope::frozen: return "frozen";
    case limit_scope::bot: return "bot";
  }
  return "";
}

flood_control::flood_control(limit_options how)
    : how_{how}, global_{how.global_per_second, 1s} {}

flood_control::chat_state& flood_control::of(std::int64_t chat) {
  auto found = chats_.find(chat);
  if (found != chats_.end())
    return found->second;
  auto window = chat < 0 ? sliding_window{how_.group_per_minute, 60s}
                         : sliding_window{how_.chat_per_second, 1s};
  return chats_.emplace(chat, chat_state{window, {}, {}}).first->second;
}

flood_control::judgement flood_control::judge(mono_time now, std::int64_t chat,
                                              unsigned cost) const {
  auto found = chats_.find(chat);
  if (found != chats_.end()) {
    auto& state = found->second;
    if (now >= state.announced && now < state.until)
      return {limit_scope::frozen, seconds_until(now, state.until)};
  }
  if (now >= bot_from_ && now < bot_until_)
    return {limit_scope::bot, seconds_until(now, bot_until_)};
  if (found != chats_.end()) {
    auto when = found->second.window.fits_at(now, cost);
    if (when > now)
      return {chat < 0 ? limit_scope::group : limit_scope::chat,
              seconds_until(now, when)};
  }
  auto when = global_.fits_at(now, cost);
  if (when > now)
    return {limit_scope::global, seconds_until(now, when)};
  return {};
}

void flood_control::spend(mono_time now, std::int64_t chat, unsigned cost) {
  of(chat).window.enter(now, cost);
  global_.enter(now, cost);
}

bool flood_control::announce(mono_time at, std::int64_t chat,
                             unsigned retry_after) {
  auto until = at + std::chrono::seconds{retry_after};
  auto& state = of(chat);
  if (at >= state.until)
    state.announced = at;
  state.until = std::max(state.until, until);

  auto slot = std::find_if(latest_.begin(), latest_.end(),
                           [&](auto& a) { return a.chat == chat; });
  if (slot == latest_.end())
    slot = std::min_element(latest_.begin(), latest_.end(),
                            [](auto& a, auto& b) { return a.at < b.at; });
  *slot = {chat, at, until};
  return judge_bot_wide(at);
}

// The earliest end counts: that long nothing could have been right.
bool flood_control::judge_bot_wide(mono_time at) {
  auto earliest = latest_.front().until;
  for (auto& a : latest_) {
    if (a.chat == 0 || a.at + 1s <= at)
      return false;
    earliest = std::min(earliest, a.until);
  }
  if (at + bot_wide_grace >= earliest || earliest <= bot_until_)
    return false;
  if (at >= bot_until_)
    bot_from_ = at + bot_wide_grace;
  bot_until_ = earliest;
  return true;
}

}  // namespace troupe::sim
