#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "core/clock.hpp"

namespace troupe::sim {

/// What may be made to go wrong with a call.
enum class fault_kind : std::uint8_t {
  none,
  drop,       ///< carried out, then the connection closes without an answer
  reset,      ///< the connection closes before anything is done
  gateway,    ///< 502 with an HTML body, nothing is done
  flood,      ///< an unprovoked 429
  forbidden,  ///< 403: bot was blocked by the user
  delay,      ///< carried out, answered late
};

/// drop, reset, 502, 429, 403, delay; empty for none.
std::string_view to_string(fault_kind kind) noexcept;
std::optional<fault_kind> parse_fault_kind(std::string_view text) noexcept;

struct fault {
  fault_kind kind = fault_kind::none;
  unsigned retry_after = 1;  ///< seconds, for flood
  milliseconds delay{0};     ///< for delay
};

/// Fractions of sends and edits that go wrong by chance.
struct fault_rates {
  double drop = 0;
  double gateway = 0;
  double flood = 0;
};

/// Strikes the `nth` call that fits, and those after it, `times` in all.
struct scripted_fault {
  std::string method;                ///< lower case; empty: any
  std::optional<std::int64_t> chat;  ///< none: any
  std::uint64_t nth = 1;
  std::uint64_t times = 1;
  fault what;
};

/// Decides which calls go wrong. Pure and seeded.
class faults {
 public:
  static constexpr std::size_t max_scripted = 10'000;

  faults(fault_rates rates, std::uint64_t seed)
      : rates_{rates}, random_{seed} {}

  /// False if there are too many already.
  bool script(scripted_fault f);
  /// @param method lower case.
  /// @param by_chance the call is one that random faults may strike.
  fault strike(std::string_view method, std::int64_t chat, bool by_chance);
  std::size_t scripted() const noexcept { return scripted_.size(); }

 private:
  fault_rates rates_;
  std::mt19937_64 random_;
  std::list<scripted_fault> scripted_;
};

}  // namespace troupe::sim
