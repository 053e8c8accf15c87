#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/http.hpp"
#include "telegram/members.hpp"

namespace troupe::sim {

/// The parameters of one call: query string and body merged, the first
/// occurrence of a name wins (TELEGRAM.md 4-6).
class params {
 public:
  void add(std::string name, std::string value);
  bool has(std::string_view name) const noexcept;
  /// The value, or an empty view.
  std::string_view get(std::string_view name) const noexcept;
  /// Leading digits count; absent or none of them gives `otherwise`.
  std::int64_t integer(std::string_view name,
                       std::int64_t otherwise = 0) const noexcept;
  /// `true`, `yes` and `1` in any case are true.
  bool flag(std::string_view name) const noexcept;
  bool empty() const noexcept { return list_.empty(); }
  auto begin() const noexcept { return list_.begin(); }
  auto end() const noexcept { return list_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

/// Reads query string and body: urlencoded, JSON, or multipart (whose files
/// are left out). What does not parse is not an error: what stands in front
/// of the fault is used, as on the real server.
params read_params(const http::request& from, telegram::members& reader);

/// Reads `a=b&c=d` with percent encoding and '+'.
void read_form(std::string_view text, params& into);
/// Reads the parts of a multipart body that have no file name.
void read_multipart(std::string_view body, std::string_view content_type,
                    params& into);
/// `text` without percent encoding; '+' is a space if `form`.
std::string percent_decoded(std::string_view text, bool form);

/// Leading sign and digits of `text`, saturated; `otherwise` if there are none.
std::int64_t lenient_integer(std::string_view text,
                             std::int64_t otherwise) noexcept;

}  // namespace troupe::sim
