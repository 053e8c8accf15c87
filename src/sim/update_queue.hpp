#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/ids.hpp"
#include "telegram/facts.hpp"
#include "telegram/update.hpp"

namespace troupe::sim {

/// One update that waits to be fetched or delivered.
struct queued_update {
  update_id id;
  telegram::update_kind kind = telegram::update_kind::message;
  std::int64_t queue = 0;  ///< what orders webhook deliveries, see `queue_of`
  mono_time expires{};
  std::string body;  ///< byte for byte the same at every delivery
};

/// The webhook queue of an update (TELEGRAM.md 49): per queue strictly in
/// order, one in flight.
std::int64_t queue_of(telegram::update_kind kind, std::int64_t chat,
                      std::int64_t user, std::int64_t poll) noexcept;

/// How long Telegram keeps an update of this kind (TELEGRAM.md 23).
std::chrono::seconds life_of(telegram::update_kind kind) noexcept;

/// A bot's FIFO of updates, shared by polling and webhook (TELEGRAM.md 20-22).
/// Pure: time is given. **Cost**: O(log n) per call.
class update_queue {
 public:
  /// Telegram's own bounds; over them an update is dropped silently.
  static constexpr std::size_t max_updates = 100'000;
  static constexpr std::size_t max_bytes = 128 << 20;
  static constexpr std::size_t max_update_bytes = 512 << 10;
  static constexpr std::int64_t first_id_low = 2'000'001;
  static constexpr std::int64_t first_id_high = 1'000'000'000;

  explicit update_queue(update_id first) : next_{first} {}

  /// The id the next update will get.
  update_id next() const noexcept { return next_; }
  /// Goes on from another id, also a lower one: "a week without updates".
  void jump(update_id next) noexcept { next_ = next; }

  /// Appends; an id beyond `next()` moves it. False if it was dropped.
  bool push(queued_update u);

  const queued_update* find(update_id id) const;
  void erase(update_id id);
  void clear() noexcept;
  /// Every id that waits, in order.
  std::vector<update_id> ids() const;

  /// Forgets what getUpdates with this offset confirms (TELEGRAM.md 29-30):
  /// a positive one what is below it, a negative one all but the last so many;
  /// one that is far off confirms nothing.
  struct confirmation {
    std::size_t count = 0;
    std::int64_t below = 0;  ///< every id below it was forgotten
  };
  confirmation confirm(std::int64_t offset);
  /// What getUpdates returns then: from `offset`, or from the head if it is
  /// far off. Drops what has expired.
  std::vector<const queued_update*> read(std::int64_t offset, std::size_t limit,
                                         mono_time now);

  std::size_t size() const noexcept { return updates_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }
  std::uint64_t dropped() const noexcept { return dropped_; }
  std::uint64_t expired() const noexcept { return expired_; }
  /// Forgets what has expired. O(n).
  void sweep(mono_time now);

 private:
  using map = std::map<std::int64_t, queued_update>;
  map::iterator erase(map::iterator it);
  map::iterator start_of(std::int64_t offset);

  map updates_;
  update_id next_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t expired_ = 0;
};

}  // namespace troupe::sim
