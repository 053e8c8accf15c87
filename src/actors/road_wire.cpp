#include "actors/road_wire.hpp"

namespace troupe::actors {

namespace {

constexpr auto last_entry_kind =
    static_cast<std::uint8_t>(store::entry_kind::timer);
constexpr auto last_key_kind =
    static_cast<std::uint8_t>(chat_key::kind::campaign);

}  // namespace

road_hint to_hint(shard_id shard, const store::entry& of) {
  road_hint out;
  out.shard = shard.value;
  out.seq = of.seq.value;
  out.type = static_cast<std::uint8_t>(of.type);
  out.key_type = static_cast<std::uint8_t>(of.key.type);
  out.key = of.key.id;
  out.update = of.id.value;
  out.accepted_ms = to_ms(of.accepted_at);
  out.has_body = of.body && of.body->size() <= longest_hint;
  if (out.has_body)
    out.body = *of.body;
  return out;
}

result<store::entry> to_entry(road_hint from, std::uint16_t shards) {
  if (from.type > last_entry_kind || from.key_type > last_key_kind ||
      from.seq == 0 || from.shard >= shards)
    return error{errc::bad_input, "no journal entry"};
  const chat_key key{static_cast<chat_key::kind>(from.key_type), from.key};
  if (shard_of(key, shards).value != from.shard)
    return error{errc::bad_input, "an entry of another shard"};
  store::entry out;
  out.seq = {from.seq};
  out.type = static_cast<store::entry_kind>(from.type);
  out.key = key;
  out.id = {from.update};
  out.accepted_at = from_ms(from.accepted_ms);
  if (from.has_body)
    out.body = store::make_payload(std::move(from.body));
  return out;
}

void add_road_messages(caf::actor_system_config& to) {
  to.add_message_type<road_hello>("troupe_hello");
  to.add_message_type<road_welcome>("troupe_welcome");
  to.add_message_type<road_refused>("troupe_refused");
  to.add_message_type<road_hints>("troupe_hints");
  to.add_message_type<road_taken>("troupe_taken");
}

}  // namespace troupe::actors
