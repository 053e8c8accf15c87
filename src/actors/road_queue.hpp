#pragma once

#include <deque>
#include <optional>
#include <set>

#include "actors/road_wire.hpp"

namespace troupe::actors {

/// The hints on their way to one other node. CAF's middleman buffers without a
/// bound for a node that does not read (it hangs, its network does), so at most
/// so many batches may be under way as were not confirmed; what comes beyond
/// waits, up to a bound, and is dropped over it: its owner finds it in the
/// store.
///
/// A batch that is not full leaves only when none is under way: under load,
/// when confirmations take longer, fewer and larger ones go.
///
/// Pure. **Threads**: one.
class road_queue {
 public:
  static constexpr unsigned most_batches = 4;
  static constexpr std::size_t batch_bytes = 256 * 1024;
  static constexpr std::size_t batch_hints = 512;
  static constexpr std::size_t most_bytes = 1024 * 1024;  ///< waiting

  /// @returns false if it was dropped
  bool offer(road_hint what);

  /// What may leave now.
  std::optional<road_hints> next();

  /// A batch has arrived. An unknown number is skipped.
  void taken(std::uint64_t number) { under_way_.erase(number); }

  /// There is nobody to send to: forgets everything.
  /// @returns how many hints were waiting
  std::size_t clear();

  std::size_t waiting() const noexcept { return waiting_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t under_way() const noexcept { return under_way_.size(); }

 private:
  std::deque<road_hint> waiting_;
  std::size_t bytes_ = 0;
  std::set<std::uint64_t> under_way_;
  std::uint64_t last_ = 0;
};

}  // namespace troupe::actors
