#include "actors/budget.hpp"

#include <algorithm>

namespace troupe::actors {

namespace {

// Several chats: TELEGRAM.md 65 leaves the number open; three within a second
// can't be one chat's own limit.
constexpr std::size_t flooded_chats = 3;
constexpr milliseconds flood_span{1000};

// One grant in ten goes to campaigns while interactive calls wait.
constexpr unsigned bulk_share = 10;

}  // namespace

budget::budget(unsigned per_second, unsigned bulk_per_second,
               milliseconds margin)
    : full_{per_second},
      full_bulk_{bulk_per_second},
      total_{per_second, milliseconds{1000}, margin},
      bulk_window_{bulk_per_second, milliseconds{1000}, margin} {}

void budget::want(claim who, unsigned cost, bool bulk) {
  (bulk ? bulk_ : interactive_).push_back({who, cost});
}

void budget::withdraw(const std::unordered_set<claim>& gone) {
  for (auto* queue : {&interactive_, &bulk_})
    std::erase_if(*queue, [&](auto& w) { return gone.contains(w.who); });
}

std::deque<budget::wish>* budget::choose(mono_time now) {
  bool bulk_ready =
      !bulk_.empty() && bulk_window_.earliest(now, bulk_.front().cost) <= now;
  if (bulk_ready && (interactive_.empty() || since_bulk_ + 1 >= bulk_share))
    return &bulk_;
  if (!interactive_.empty())
    return &interactive_;
  return nullptr;
}

std::vector<budget::grant> budget::ready(mono_time now) {
  std::vector<grant> out;
  if (now < frozen_until_)
    return out;
  while (auto queue = choose(now)) {
    auto first = queue->front();
    if (total_.earliest(now, first.cost) > now)
      break;
    queue->pop_front();
    auto ticket = total_.take(now, first.cost);
    if (queue == &bulk_) {
      bulk_tickets_[ticket] = bulk_window_.take(now, first.cost);
      since_bulk_ = 0;
    } else {
      ++since_bulk_;
    }
    out.push_back({first.who, ticket});
  }
  return out;
}

std::optional<mono_time> budget::next(mono_time now) const {
  std::optional<mono_time> at;
  auto consider = [&](mono_time t) { at = at ? std::min(*at, t) : t; };
  if (!interactive_.empty())
    consider(total_.earliest(now, interactive_.front().cost));
  if (!bulk_.empty())
    consider(std::max(total_.earliest(now, bulk_.front().cost),
                      bulk_window_.earliest(now, bulk_.front().cost)));
  if (!at || *at == mono_time::max())
    return std::nullopt;  // nothing but a larger share helps
  return std::max(*at, frozen_until_);
}

void budget::answered(window::ticket which, mono_time at, bool arrived) {
  total_.answered(which, at, arrived);
  if (auto it = bulk_tickets_.find(which); it != bulk_tickets_.end()) {
    bulk_window_.answered(it->second, at, arrived);
    bulk_tickets_.erase(it);
  }
}

bool budget::flooded(chat_key chat, mono_time now, milliseconds retry_after) {
  std::erase_if(floods_, [&](auto& f) {
    return f.chat == chat || now - f.at > flood_span;
  });
  floods_.push_back({chat, now, now + retry_after});
  if (floods_.size() < flooded_chats)
    return false;
  auto last =
      std::max_element(floods_.begin(), floods_.end(),
                       [](auto& a, auto& b) { return a.until < b.until; });
  freeze(last->until);
  total_.slow_down(now);
  floods_.clear();
  return true;
}

void budget::freeze(mono_time until) {
  frozen_until_ = std::max(frozen_until_, until);
}

void budget::spend_all(mono_time now) {
  total_.spend(now, total_.limit());
  bulk_window_.spend(now, bulk_window_.limit());
}

void budget::spend(mono_time at, unsigned messages) {
  total_.spend(at, messages);
}

void budget::configure(unsigned per_second, unsigned bulk_per_second,
                       mono_time now) {
  full_ = per_second;
  full_bulk_ = bulk_per_second;
  total_.configure(per_second, now);
  bulk_window_.configure(bulk_per_second, now);
}

void budget::resize(unsigned per_second) {
  total_.resize(per_second);
  // One at least: rounded down to none, a small limit on many nodes would hold
  // campaigns up for ever. What all send keeps to the bot's budget anyhow.
  if (full_ != 0)
    bulk_window_.resize(
        std::max(static_cast<unsigned>(std::uint64_t{full_bulk_} *
                                       std::min(per_second, full_) / full_),
                 std::min({full_bulk_, per_second, 1U})));
}

}  // namespace troupe::actors
