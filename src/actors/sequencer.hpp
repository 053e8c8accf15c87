#pragma once

#include <map>
#include <vector>

#include "store/store.hpp"

namespace troupe::actors {

/// Puts the hints about a shard's journal back into its order. A hint may come
/// late, twice or not at all; the sequence is gapless, so whatever is missing
/// shows as a gap, which the owner fills from the store.
///
/// Pure. **Threads**: one.
class sequencer {
 public:
  /// Everything up to `last` was taken from the store.
  /// @param end what the store does not have up to here was acknowledged
  ///   before; nothing, if `last` was its end
  void start(seq_no last, seq_no end = {});

  bool started() const noexcept { return started_; }

  /// Takes hints; gives back what is next in order. Before `start`, hints are
  /// only kept.
  std::vector<store::entry> offer(std::vector<store::entry> hints);

  /// Takes what the store has after `asked`, up to a limit; gives back what is
  /// next in order. A sequence that the store does not have any more, although
  /// it has a later one, is skipped.
  /// @param more the page was cut at its limit: the store has more after it
  std::vector<store::entry> heal(std::vector<store::entry> page, bool more);

  /// The store says that its journal ends at `tail`: if no hint comes for what
  /// is up to there, that is a gap, too.
  void ends_at(seq_no tail) {
    if (tail.value > tail_)
      tail_ = tail.value;
  }

  /// Drops the hints that are kept, and takes it that more were lost: there is
  /// no room for them. Then there is a gap, until the store was read to its
  /// end.
  void leave() {
    kept_.clear();
    lost_ = true;
  }

  /// How many are in the store and were not given out, as far as it was told.
  std::uint64_t unread() const noexcept {
    return started_ && tail_ >= next_ ? tail_ - next_ + 1 : 0;
  }

  /// True if something is missing between what was given out and what is known
  /// to be there.
  bool gap() const noexcept {
    return !kept_.empty() || lost_ || tail_ >= next_;
  }

  /// Hints that wait for what is missing before them.
  std::size_t kept() const noexcept { return kept_.size(); }

  /// The last sequence given out.
  seq_no last() const noexcept { return {next_ - 1}; }

  /// Hints kept while something before them is missing; what comes over it is
  /// dropped and read from the store.
  static constexpr std::size_t most_kept = 1024;

 private:
  void release(std::vector<store::entry>& out);

  bool started_ = false;
  bool lost_ = false;
  std::uint64_t next_ = 1;
  std::uint64_t tail_ = 0;
  std::uint64_t end_ = 0;
  std::map<std::uint64_t, store::entry> kept_;
};

}  // namespace troupe::actors
