#include "store/postgres_seen.hpp"

namespace troupe::store::postgres {

namespace {

void set_bit(std::string& bits, std::size_t n) {
  bits[n / 8] = static_cast<char>(static_cast<unsigned char>(bits[n / 8]) |
                                  1U << (n % 8));
}

}  // namespace

bool seen_ids::has(update_id id) const noexcept {
  const auto n = place(id);
  if (mapped())
    return (static_cast<unsigned char>(bytes_[n / 8]) >> (n % 8) & 1U) != 0;
  for (std::size_t at = 0; at + 1 < bytes_.size(); at += 2)
    if (listed(at) == n)
      return true;
  return false;
}

void seen_ids::add(update_id id) {
  const auto n = place(id);
  if (mapped())
    return set_bit(bytes_, n);
  if (bytes_.size() + 2 < bitmap_bytes) {
    bytes_ += static_cast<char>(n & 0xff);
    bytes_ += static_cast<char>(n >> 8);
    return;
  }
  std::string bits(bitmap_bytes, '\0');
  for (std::size_t at = 0; at < bytes_.size(); at += 2)
    set_bit(bits, listed(at));
  set_bit(bits, n);
  bytes_ = std::move(bits);
}

}  // namespace troupe::store::postgres
