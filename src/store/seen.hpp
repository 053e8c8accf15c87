#pragma once

#include <array>
#include <cstdint>

#include "store/store.hpp"

namespace troupe::store {

/// The deduplication window, one block of update ids: which of its 4096 ids
/// were accepted, and when the last of them was. Sequential ids cost 0.13 bytes
/// each. A block is forgotten as a whole, so an id may be remembered longer
/// than `dedup_window` while its neighbours are fresh; Telegram draws ids anew
/// only after a week of silence, when every block is long forgotten.
///
/// Part of the sqlite format: never change it.
class seen_block {
 public:
  static constexpr unsigned ids_log2 = 12;
  static constexpr std::size_t bytes = (std::size_t{1} << ids_log2) / 8;

  /// Blocks tile all of int64; the shift rounds down for negative ids too.
  static constexpr std::int64_t number_of(update_id id) noexcept {
    return id.value >> ids_log2;
  }

  bool has(update_id id) const noexcept {
    return (bits[place(id) / 8] >> (place(id) % 8) & 1U) != 0;
  }

  void add(update_id id, wall_time now) noexcept {
    auto& octet = bits[place(id) / 8];
    octet = static_cast<unsigned char>(octet | 1U << (place(id) % 8));
    touched = now;
  }

  bool expired(wall_time now) const noexcept {
    return now - touched > dedup_window;
  }

  std::array<unsigned char, bytes> bits{};
  wall_time touched{};

 private:
  static constexpr std::size_t place(update_id id) noexcept {
    return static_cast<std::uint64_t>(id.value) & ((1U << ids_log2) - 1);
  }
};

}  // namespace troupe::store
