#include "actors/holdings_page.hpp"

namespace troupe::actors {

json::object page_of(const store::holdings& what) {
  return {{"records", what.records},
          {"entries", what.entries},
          {"calls", what.calls},
          {"timers", what.timers},
          {"dead_letters", what.dead_letters},
          {"members", what.members},
          {"tags", what.tags}};
}

std::string forgotten_page(const chat_key& key, const store::holdings& removed,
                           const store::holdings& left) {
  return json::serialize(json::object{{"chat", to_string(key)},
                                      {"removed", page_of(removed)},
                                      {"left", page_of(left)}});
}

}  // namespace troupe::actors
