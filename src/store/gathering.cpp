#include "store/gathering.hpp"

#include <algorithm>

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
  names_[name] = {holder, now + ttl, {last_token_}};
  return grant{last_token_};
}

void gathering::relinquish(const std::string& name, const std::string& holder) {
  if (auto found = names_.find(name);
      found != names_.end() && found->second.holder == holder)
    names_.erase(found);
}

}  // namespace troupe::store
