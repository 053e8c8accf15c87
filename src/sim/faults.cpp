#include "sim/faults.hpp"

#include <utility>

namespace troupe::sim {

std::string_view to_string(fault_kind kind) noexcept {
  switch (kind) {
    case fault_kind::none: return "";
    case fault_kind::drop: return "drop";
    case fault_kind::reset: return "reset";
    case fault_kind::gateway: return "502";
    case fault_kind::flood: return "429";
    case fault_kind::forbidden: return "403";
    case fault_kind::delay: return "delay";
  }
  return "";
}

std::optional<fault_kind> parse_fault_kind(std::string_view text) noexcept {
  for (auto kind :
       {fault_kind::drop, fault_kind::reset, fault_kind::gateway,
        fault_kind::flood, fault_kind::forbidden, fault_kind::delay})
    if (text == to_string(kind))
      return kind;
  return std::nullopt;
}

bool faults::script(scripted_fault f) {
  if (scripted_.size() >= max_scripted)
    return false;
  scripted_.push_back(std::move(f));
  return true;
}

fault faults::strike(std::string_view method, std::int64_t chat,
                     bool by_chance) {
  for (auto it = scripted_.begin(); it != scripted_.end(); ++it) {
    if ((!it->method.empty() && it->method != method) ||
        (it->chat && *it->chat != chat))
      continue;
    if (it->nth > 1) {
      --it->nth;
      continue;
    }
    auto what = it->what;
    if (--it->times == 0)
      scripted_.erase(it);
    return what;
  }
  if (!by_chance)
    return {};
  auto fraction = [this](double rate) {
    return rate > 0 &&
           std::uniform_real_distribution<double>{0, 1}(random_) < rate;
  };
  if (fraction(rates_.gateway))
    return {fault_kind::gateway, 0, {}};
  if (fraction(rates_.flood))
    return {fault_kind::flood, 1 + static_cast<unsigned>(random_() % 3), {}};
  if (fraction(rates_.drop))
    return {fault_kind::drop, 0, {}};
  return {};
}

}  // namespace troupe::sim
