#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "store/store.hpp"

namespace troupe::actors {

/// Which members of the audience are meant, as a person writes it: terms with
/// commas between them, all of which must hold.
///
/// | term | holds for |
/// |---|---|
/// | `active 30d` | who was seen within that time (`s`, `m`, `h`, `d`, `w`) |
/// | `idle 30d` | who was not |
/// | `new 7d` | who was seen first within that time |
/// | `lang=de` | that language, with or without a region; several: any |
/// | `tag=beta` | who has that tag; several: all of them |
/// | `tag!=beta` | who does not have it; several: none of them |
/// | `kind=private` | private chats, which is the default; `group`, `any` |
///
/// Blocked, gone and migrated members are never meant.
class audience_filter {
 public:
  /// **Errors**: `errc::bad_input` with the term that nobody understands.
  static result<audience_filter> parse(std::string_view text);

  bool matches(const store::member& who, wall_time now) const;

 private:
  enum class kind : std::uint8_t { personal, group, any };

  result<> add(std::string_view term);
  result<> add_tag(std::string_view term, std::string_view name,
                   std::string_view tag);

  kind kind_ = kind::personal;
  std::optional<milliseconds> active_, idle_, new_;
  std::vector<std::string> languages_, tags_, without_;
};

}  // namespace troupe::actors
