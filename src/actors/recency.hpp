#pragma once

namespace troupe::actors {

/// Entries of a map in the order of their last use, linked through themselves:
/// to find those that are idle, or busy, without a walk over a million. An
/// Entry is a map's value type whose `second` has members `Entry* newer` and
/// `Entry* older`, null at first. **Cost**: constant, no allocation.
template <class Entry>
class recency {
 public:
  Entry* newest() const noexcept { return newest_; }
  Entry* oldest() const noexcept { return oldest_; }

  /// Makes it the newest, whether it is in already or not.
  void use(Entry& x) noexcept {
    if (newest_ == &x)
      return;
    drop(x);
    x.second.older = newest_;
    (newest_ ? newest_->second.newer : oldest_) = &x;
    newest_ = &x;
  }

  /// Takes it out; nothing happens if it is not in.
  void drop(Entry& x) noexcept {
    auto& newer = x.second.newer;
    auto& older = x.second.older;
    if (newest_ != &x && !newer)
      return;
    (newer ? newer->second.older : newest_) = older;
    (older ? older->second.newer : oldest_) = newer;
    newer = older = nullptr;
  }

  /// Forgets all of them, which may be gone already.
  void clear() noexcept { newest_ = oldest_ = nullptr; }

 private:
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
};

}  // namespace troupe::actors
