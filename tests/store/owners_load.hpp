#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/store.hpp"

namespace troupe::store::test {

/// A load as owners of shards make it, one thread each: accept, follow the
/// journal, turn, commit, settle. Every third turn sends a notice to the next
/// owner's shard, every fourth call an event to its own. What has no known
/// outcome is asked again, as the contract says; and so is some of what has.
///
/// Each owner looks for broken promises as it goes: sequences without gaps,
/// each chat's updates in order, none twice, versions as it counts them.
class owners_load {
 public:
  owners_load(backend& on, std::vector<shard_id> of);
  ~owners_load();
  owners_load(const owners_load&) = delete;
  owners_load& operator=(const owners_load&) = delete;

  /// The fewest updates that any of them has turned.
  std::size_t least() const;
  /// True once each has turned so many more; false if one is in trouble.
  bool goes_on(std::size_t more) const;
  /// Accepts no more; returns when all that was accepted, sent and settled has
  /// been turned, and the store was compared with what should be in it.
  /// @returns the promises broken, in words; empty: none
  std::string finish();

  /// Answers that left it open what was done.
  std::size_t unknown() const;
  /// Those, and calls that could not be made.
  std::size_t hindered() const;
  std::size_t turned() const;

 private:
  struct owner;

  std::vector<std::unique_ptr<owner>> owners_;
  std::atomic<bool> enough_{false};
  std::vector<std::thread> threads_;
};

}  // namespace troupe::store::test
