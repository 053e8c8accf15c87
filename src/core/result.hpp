#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace troupe {

/// What went wrong, as far as a caller can act on it. Details are text.
///
/// Not `std::error_code`: the codes are few, closed, and always travel with a
/// context that names the thing that failed.
enum class errc : std::uint8_t {
  bad_input = 1,    ///< the caller's data is wrong; repeating won't help
  not_found,        ///< no such thing
  conflict,         ///< somebody else has it (a lock, a file, a port)
  fenced,           ///< the lease is not ours any more; stop acting for it
  unavailable,      ///< it may work later; nothing was done
  unknown_outcome,  ///< it may or may not have been done
  timed_out,        ///< no answer in time; for a call it may have been done
  corrupt,          ///< stored data can't be trusted
  incompatible,     ///< stored by another version or with other settings
  cancelled,        ///< given up because we are stopping
  too_large,        ///< over a stated limit
  internal,         ///< a broken invariant of ours
};

std::string_view to_string(errc code) noexcept;

/// A code and a sentence for the person who reads it.
/// The sentence never holds a secret and never a URL's path (the token is in
/// it).
struct error {
  errc code = errc::internal;
  std::string context;

  friend bool operator==(const error&, const error&) = default;
};

/// `code: context`
std::string to_string(const error& e);

/// Thrown by `result<T>::value()` when there is none.
class bad_result : public std::runtime_error {
 public:
  explicit bad_result(error e);
  const error& reason() const noexcept { return reason_; }

 private:
  error reason_;
};

[[noreturn]] void throw_exception_from_error(const error& e,
                                             const boost::source_location& at);

/// A value, or an `error`. Errors of pure code and of I/O come this way;
/// exceptions are left to user handlers.
template <class T = void>
using result = boost::system::result<T, error>;

/// Ends the process with a message if `condition` is false, in release builds
/// too: for what would corrupt a chat if we went on.
#define TROUPE_CHECK(condition) \
  (static_cast<bool>(condition) \
       ? void(0)                \
       : ::troupe::check_failed(#condition, __FILE__, __LINE__))

[[noreturn]] void check_failed(const char* condition, const char* file,
                               int line) noexcept;

}  // namespace troupe
