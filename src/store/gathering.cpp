#include "store/gathering.hpp"

#include <algorithm>
#include <iterator>

#include "store/checks.hpp"

namespace troupe::store {

std::vector<node_info> gathering::heartbeat(const node_info& me,
                                            milliseconds ttl) {
  const auto now = time_.mono();
  alive_[me.name] = {me, now + ttl};
  std::erase_if(alive_, [&](const auto& x) { return x.second.until <= now; });
  std::vector<node_info> out;
  for (const auto& [name, one] : alive_)
    out.push_back(one.who);
  // Also with a TTL of nothing, who asks is among the answer.
  if (!alive_.contains(me.name))
    out.push_back(me);
  return out;
}

std::optional<grant> gathering::acquire(const std::string& name,
                                        const std::string& holder,
                                        milliseconds ttl) {
  const auto now = time_.mono();
  auto found = names_.find(name);
  // Even expired, it is still its last holder's: nobody was there between.
  if (found != names_.end() && found->second.holder == holder) {
    found->second.until = now + ttl;
    return found->second.held;
  }
  if (found != names_.end() && found->second.until > now)
    return std::nullopt;
  // Tokens grow over restarts, too, where nothing of this is kept.
  last_token_ = std::max<std::uint64_t>(
      last_token_ + 1, static_cast<std::uint64_t>(to_ms(time_.wall())));
  forget_some(now);
  names_[name] = {holder, now + ttl, {last_token_}};
  return grant{last_token_};
}

/// A few steps for each name that comes: what expired does not pile up.
void gathering::forget_some(mono_time now) {
  auto at = names_.upper_bound(looked_at_);
  for (int i = 0; i < 4 && !names_.empty(); ++i) {
    if (at == names_.end())
      at = names_.begin();
    looked_at_ = at->first;
    at = at->second.until + sweep_grace <= now ? names_.erase(at)
                                               : std::next(at);
  }
}

void gathering::relinquish(const std::string& name, const std::string& holder) {
  if (auto found = names_.find(name);
      found != names_.end() && found->second.holder == holder)
    names_.erase(found);
}

}  // namespace troupe::store
