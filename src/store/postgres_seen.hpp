#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/ids.hpp"

namespace troupe::store::postgres {

/// Which of a block of 4096 update ids one shard accepted. With many shards few
/// of a block's ids are one shard's, so it is a list of their places (two bytes
/// each) until a bitmap is smaller: at most 512 bytes, and with 128 shards
/// about four bytes for an update, row and index included.
///
/// Part of the format: never change it.
class seen_ids {
 public:
  static constexpr unsigned ids_log2 = 12;
  static constexpr std::size_t bitmap_bytes = (std::size_t{1} << ids_log2) / 8;

  static constexpr std::int64_t block_of(update_id id) noexcept {
    return id.value >> ids_log2;
  }

  seen_ids() = default;
  explicit seen_ids(std::string_view stored) : bytes_{stored} {}

  bool sane() const noexcept {
    return bytes_.size() % 2 == 0 && bytes_.size() <= bitmap_bytes;
  }
  const std::string& bytes() const noexcept { return bytes_; }
  bool has(update_id id) const noexcept;
  void add(update_id id);

 private:
  static constexpr std::size_t place(update_id id) noexcept {
    return static_cast<std::uint64_t>(id.value) & ((1U << ids_log2) - 1);
  }
  bool mapped() const noexcept { return bytes_.size() == bitmap_bytes; }
  std::size_t listed(std::size_t at) const noexcept {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes_[at])) |
           static_cast<std::size_t>(static_cast<unsigned char>(bytes_[at + 1]))
               << 8;
  }

  std::string bytes_;
};

}  // namespace troupe::store::postgres
