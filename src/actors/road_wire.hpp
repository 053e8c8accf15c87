#pragma once

#include <caf/actor_system_config.hpp>
#include <caf/meta/type_name.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "store/store.hpp"

/// The messages that cross nodes; all others stay in their process. A change
/// of anything but a hello's text needs another `cluster_protocol`.
namespace troupe::actors {

/// See `hello`.
struct road_hello {
  std::string text;
};
struct road_welcome {
  std::string proof;  ///< `proof_of` the other way round
};
struct road_refused {
  std::string why;
  bool later = false;  ///< it may be different in a moment
};

/// A journal entry that the other node should own. A body over `longest_hint`
/// stays at home: the owner reads it from the store when its turn comes.
struct road_hint {
  std::uint16_t shard = 0;
  std::uint64_t seq = 0;
  std::uint8_t type = 0;
  std::uint8_t key_type = 0;
  std::int64_t key = 0;
  std::int64_t update = 0;
  std::int64_t accepted_ms = 0;
  bool has_body = false;
  std::string body;
};
constexpr std::size_t longest_hint = 64 * 1024;

/// What it costs in memory and on the wire, roughly.
inline std::size_t weight_of(const road_hint& h) {
  return h.body.size() + sizeof(road_hint);
}

struct road_hints {
  std::uint64_t number = 0;
  std::vector<road_hint> what;
};
struct road_taken {
  std::uint64_t number = 0;
};

road_hint to_hint(shard_id shard, const store::entry& of);
/// **Errors**: `errc::bad_input`: no entry of a store with that many shards.
result<store::entry> to_entry(road_hint from, std::uint16_t shards);

void add_road_messages(caf::actor_system_config& to);

template <class Inspector>
auto inspect(Inspector& f, road_hello& x) {
  return f(caf::meta::type_name("road_hello"), x.text);
}
template <class Inspector>
auto inspect(Inspector& f, road_welcome& x) {
  return f(caf::meta::type_name("road_welcome"), x.proof);
}
template <class Inspector>
auto inspect(Inspector& f, road_refused& x) {
  return f(caf::meta::type_name("road_refused"), x.why, x.later);
}
template <class Inspector>
auto inspect(Inspector& f, road_hint& x) {
  return f(caf::meta::type_name("road_hint"), x.shard, x.seq, x.type,
           x.key_type, x.key, x.update, x.accepted_ms, x.has_body, x.body);
}
template <class Inspector>
auto inspect(Inspector& f, road_hints& x) {
  return f(caf::meta::type_name("road_hints"), x.number, x.what);
}
template <class Inspector>
auto inspect(Inspector& f, road_taken& x) {
  return f(caf::meta::type_name("road_taken"), x.number);
}

}  // namespace troupe::actors
