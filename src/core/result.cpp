#include "core/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace troupe {

std::string_view to_string(errc code) noexcept {
  switch (code) {
    case errc::bad_input: return "bad input";
    case errc::not_found: return "not found";
    case errc::conflict: return "conflict";
    case errc::fenced: return "fenced";
    case errc::unavailable: return "unavailable";
    case errc::unknown_outcome: return "unknown outcome";
    case errc::timed_out: return "timed out";
    case errc::corrupt: return "corrupt";
    case errc::incompatible: return "incompatible";
    case errc::cancelled: return "cancelled";
    case errc::too_large: return "too large";
    case errc::internal: return "internal error";
  }
  return "error";
}

std::string to_string(const error& e) {
  std::string out{to_string(e.code)};
  if (!e.context.empty())
    out.append(": ").append(e.context);
  return out;
}

bad_result::bad_result(error e)
    : std::runtime_error{to_string(e)}, reason_{std::move(e)} {}

void throw_exception_from_error(const error& e, const boost::source_location&) {
  throw bad_result{e};
}

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "troupe: broken invariant: %s (%s:%d)\n", condition,
               file, line);
  std::abort();
}

}  // namespace troupe
