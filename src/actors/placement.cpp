#include "actors/placement.hpp"

namespace troupe::actors {

namespace {

// The end of MurmurHash3: each bit of the input moves half of the output's.
constexpr std::uint64_t scatter(std::uint64_t x) noexcept {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

std::uint64_t weight(shard_id shard, const std::string& node) noexcept {
  const auto name = static_cast<std::uint64_t>(stable_hash(node));
  return scatter(name + 0x9e3779b97f4a7c15ULL * (shard.value + 1ULL));
}

}  // namespace

std::size_t place(shard_id shard, const std::vector<std::string>& nodes) {
  std::size_t best = 0;
  auto most = weight(shard, nodes.at(0));
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    const auto w = weight(shard, nodes[i]);
    if (w > most || (w == most && nodes[i] < nodes[best])) {
      best = i;
      most = w;
    }
  }
  return best;
}

}  // namespace troupe::actors
