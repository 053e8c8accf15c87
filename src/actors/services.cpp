#include "actors/services.hpp"

namespace troupe::actors {

namespace {

// So that all shards of a node that starts can read at once.
constexpr std::int64_t parts_of_room = 64;
constexpr std::int64_t least_part = 16;

}  // namespace

room_ptr room_for(const std::shared_ptr<services>& in, std::size_t most,
                  std::size_t least) {
  const auto all = std::int64_t(in->how.max_pending) * 3 / 2;
  const auto held = in->held();
  const auto free = all - held - in->reading;
  // Not for a handful: each costs a trip to the store. But where only others'
  // reading is in the way, whether there is anything to read: they read the
  // same of their shards, at a start mostly nothing.
  std::int64_t part = 0;
  if (all - held > all / parts_of_room)
    part = std::max<std::int64_t>(
        std::min(std::max(free / parts_of_room, least_part), free), 1);
  const auto entries = std::max(std::min(std::size_t(part), most), least);
  return entries == 0 ? nullptr : std::make_shared<const room>(in, entries);
}

}  // namespace troupe::actors
