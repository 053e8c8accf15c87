#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "store/redis_reply.hpp"
#include "store/redis_url.hpp"

namespace troupe::store::redis {

/// A Redis Cluster has so many hash slots, each served by one primary.
constexpr std::uint16_t slot_count = 16384;

/// The slot of a key: of what stands within its first `{` and the next `}`, or
/// of all of it if that is nothing.
std::uint16_t slot_of(std::string_view key) noexcept;

/// Who serves which slot.
class slot_map {
 public:
  slot_map() { owners_.fill(nobody); }

  /// Reads the answer of CLUSTER SLOTS. A node that does not know its own
  /// address is called `asked`, whom we reached.
  /// **Errors**: `errc::unavailable` if it makes no sense.
  static result<slot_map> parse(const reply& answer, const address& asked);

  /// nullptr: nobody serves it.
  const address* owner(std::uint16_t slot) const noexcept {
    const auto i = owners_[slot];
    return i == nobody ? nullptr : &primaries_[i];
  }
  void assign(std::uint16_t slot, const address& to);

  /// Those that serve at least one slot.
  std::vector<address> primaries() const;
  /// Others who can be asked for the map when no primary answers.
  const std::vector<address>& replicas() const noexcept { return replicas_; }
  /// How many slots nobody serves.
  std::size_t uncovered() const noexcept;

 private:
  static constexpr std::uint16_t nobody = 0xFFFF;

  std::uint16_t number_of(const address& at);

  std::array<std::uint16_t, slot_count> owners_;
  std::vector<address> primaries_;
  std::vector<address> replicas_;
};

}  // namespace troupe::store::redis
