#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace troupe::store {

/// Who is alive, and who holds which name, for stores that keep it in memory.
///
/// **Threads**: one at a time.
class gathering {
 public:
  /// **Lifetime**: `time` outlives it.
  explicit gathering(const clock& time) : time_{time} {}

  std::vector<node_info> heartbeat(const node_info& me, milliseconds ttl);
  void leave(const std::string& name) { alive_.erase(name); }
  std::optional<grant> acquire(const std::string& name,
                               const std::string& holder, milliseconds ttl);
  void relinquish(const std::string& name, const std::string& holder);
  std::size_t names() const noexcept { return names_.size(); }

 private:
  struct living {
    node_info who;
    mono_time until;
  };
  struct named_lease {
    std::string holder;
    mono_time until;
    grant held;
  };

  void forget_some(mono_time now);

  const clock& time_;
  std::map<std::string, living> alive_;
  std::map<std::string, named_lease> names_;
  std::string looked_at_;
  std::uint64_t last_token_ = 0;
};

}  // namespace troupe::store
