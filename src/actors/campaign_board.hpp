#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "core/json.hpp"

namespace troupe::actors {

/// Pages of campaigns that are over: nothing of them changes any more, so they
/// are read once, however often people look. **Threads**: any.
class campaign_board {
 public:
  std::optional<json::object> find(std::int64_t number) const {
    const std::lock_guard guard{lock_};
    const auto it = over_.find(number);
    return it == over_.end() ? std::nullopt : std::optional{it->second};
  }

  /// Keeps it if it is over, and is one of the latest.
  void put(std::int64_t number, const json::object& page) {
    if (!is_over(page))
      return;
    const std::lock_guard guard{lock_};
    over_.insert_or_assign(number, page);
    if (over_.size() > most)
      over_.erase(over_.begin());
  }

  /// What was released before its end may still end.
  static bool is_over(const json::object& page) {
    const auto count = [&](const char* name) {
      return page.at(name).to_number<std::uint64_t>();
    };
    const auto& state = page.at("state").as_string();
    return (state == "done" || state == "cancelled") &&
           count("sent") + count("failed") + count("blocked") +
                   count("unknown") >=
               count("released");
  }

 private:
  static constexpr std::size_t most = 100;

  mutable std::mutex lock_;
  std::map<std::int64_t, json::object> over_;
};

}  // namespace troupe::actors
