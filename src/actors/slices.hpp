#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/clock.hpp"

namespace troupe::actors {

/// What a node wants of the bot's budget, in slices.
struct budget_want {
  std::string node;
  unsigned slices = 1;   ///< what it could use; never less than 1
  unsigned largest = 1;  ///< what its largest single call takes
};

/// How many of `total` slices node `me` should have: what it wants, cut down to
/// the level at which all fit; what nobody wants is spread evenly. In turn each
/// node whose largest call does not fit its share gets that much, or an album
/// would never leave a node of a large cluster.
///
/// Pure: all nodes come to the same answer from the same wants.
/// @param turn a number that grows with time, alike on all nodes
unsigned fair_share(std::vector<budget_want> wants, const std::string& me,
                    unsigned total, std::uint64_t turn);

/// One node's part of the global budget. The budget is cut into slices, each a
/// named lease in the store; a node sends what its slices allow. So no window
/// of the whole cluster holds more than configured (G7), whoever dies or is cut
/// off, and nobody needs to lead: what a dead node had comes back when its
/// lease has run out.
///
/// A slice that comes counts as just spent, since its last holder may have. One
/// that goes is not used first until what was sent under it has arrived.
///
/// Pure: time comes in, actions go out. **Threads**: one.
class slices {
 public:
  struct options {
    unsigned per_second = 30;  ///< of the bot
    milliseconds ttl{2'000};
    milliseconds margin{500};  ///< before a lease may be another's
    milliseconds renew_every{500};
    /// What a call may take to arrive after its permit, at the latest.
    milliseconds arrival{1'000};
    /// Among the slices, where this node begins to look for free ones.
    unsigned first = 0;
  };

  struct acquire {
    unsigned slice;
  };
  struct relinquish {
    unsigned slice;
  };
  using action = std::variant<acquire, relinquish>;

  explicit slices(const options& how);

  /// The bot's budget is another now. Nodes hear of it at different times, so
  /// each slice is worth what its holder thinks. It is exclusive, and a larger
  /// budget makes none of them smaller: all together never allow more than the
  /// largest budget that a node still believes in (G7).
  void configure(unsigned per_second);

  /// Into how many slices the budget is cut.
  unsigned total() const noexcept { return total_; }
  /// How many messages per second need so many slices.
  unsigned slices_for(unsigned messages) const noexcept;

  /// How many slices it should have.
  void aim(unsigned share) noexcept { share_ = share; }

  /// What to do now; more often than leases are to be renewed.
  /// @param used messages that the window holds now
  std::vector<action> tick(mono_time now, unsigned used);

  /// The answer to `acquire`.
  /// @param asked when it was asked
  /// @param holds false: another has it; nothing: the store did not say
  struct gain {
    unsigned messages;
    mono_time spent_at;  ///< count them as spent then
  };
  std::optional<gain> answered(unsigned slice, mono_time asked,
                               std::optional<bool> holds, mono_time now);

  /// Messages per second that may be sent now.
  unsigned limit(mono_time now) const noexcept;

  /// Slices in use.
  unsigned held(mono_time now) const noexcept;

  static constexpr unsigned most = 16;

 private:
  struct slot {
    unsigned messages = 0;
    bool ours = false;     ///< as far as we know, the store says so
    bool leaving = false;  ///< not used any more, not given back yet
    bool asking = false;
    mono_time asked{};
    mono_time safe_until{};
  };

  bool usable(const slot& s, mono_time now) const noexcept {
    return s.ours && !s.leaving && now < s.safe_until;
  }

  options how_;
  /// `most` of them; of a small budget the last are worth nothing, and unused.
  std::vector<slot> slots_;
  unsigned total_ = 0;
  unsigned share_ = 0;
  unsigned next_ = 0;  ///< where to look for a free one
};

}  // namespace troupe::actors
