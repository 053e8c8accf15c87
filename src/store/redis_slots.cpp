#include "store/redis_slots.hpp"

#include <algorithm>

namespace troupe::store::redis {

namespace {

/// CRC-16/XMODEM, as the Redis Cluster specification has it.
constexpr std::array<std::uint16_t, 256> make_crc_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

constexpr auto crc_table = make_crc_table();

error nonsense() {
  return {errc::unavailable, "CLUSTER SLOTS has an answer that makes no sense"};
}

/// The node that one element of a range of slots describes.
bool read_node(const reply& node, const address& asked, address& out) {
  using kind = reply::kind;
  if (node.type != kind::list || node.items.size() < 2 ||
      node.items[1].type != kind::integer)
    return false;
  const auto port = node.items[1].number;
  if (port < 1 || port > 65535)
    return false;
  const auto& host = node.items[0].text;
  out.host = host.empty() || host == "?" ? asked.host : host;
  out.port = static_cast<std::uint16_t>(port);
  return true;
}

}  // namespace

std::uint16_t slot_of(std::string_view key) noexcept {
  const auto open = key.find('{');
  if (open != std::string_view::npos) {
    const auto close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1)
      key = key.substr(open + 1, close - open - 1);
  }
  unsigned crc = 0;
  for (const char c : key)
    crc = ((crc << 8) & 0xFFFF) ^
          crc_table[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xFF];
  return static_cast<std::uint16_t>(crc % slot_count);
}

result<slot_map> slot_map::parse(const reply& answer, const address& asked) {
  using kind = reply::kind;
  if (answer.type != kind::list)
    return nonsense();
  slot_map out;
  for (const auto& range : answer.items) {
    if (range.type != kind::list || range.items.size() < 3 ||
        range.items[0].type != kind::integer ||
        range.items[1].type != kind::integer)
      return nonsense();
    const auto first = range.items[0].number, last = range.items[1].number;
    address primary;
    if (first < 0 || last < first || last >= slot_count ||
        !read_node(range.items[2], asked, primary))
      return nonsense();
    const auto n = out.number_of(primary);
    std::fill(out.owners_.begin() + first, out.owners_.begin() + last + 1, n);
    for (std::size_t i = 3; i < range.items.size(); ++i) {
      address replica;
      if (!read_node(range.items[i], asked, replica))
        return nonsense();
      if (std::find(out.replicas_.begin(), out.replicas_.end(), replica) ==
          out.replicas_.end())
        out.replicas_.push_back(std::move(replica));
    }
  }
  return out;
}

std::uint16_t slot_map::number_of(const address& at) {
  const auto n =
      std::find(primaries_.begin(), primaries_.end(), at) - primaries_.begin();
  if (static_cast<std::size_t>(n) == primaries_.size())
    primaries_.push_back(at);
  return static_cast<std::uint16_t>(n);
}

void slot_map::assign(std::uint16_t slot, const address& to) {
  owners_[slot] = number_of(to);
}

std::vector<address> slot_map::primaries() const {
  std::vector<bool> serves(primaries_.size(), false);
  for (const auto n : owners_)
    if (n != nobody)
      serves[n] = true;
  std::vector<address> out;
  for (std::size_t i = 0; i < primaries_.size(); ++i)
    if (serves[i])
      out.push_back(primaries_[i]);
  return out;
}

std::size_t slot_map::uncovered() const noexcept {
  return static_cast<std::size_t>(
      std::count(owners_.begin(), owners_.end(), nobody));
}

}  // namespace troupe::store::redis
