#pragma once

#include <boost/json/fwd.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <ratio>
#include <string>
#include <string_view>

/// The parts of state.hpp that need no template: kept out of the bot's own
/// sources, so that those compile fast.
namespace troupe::detail {

/// Where in the state we are, for error texts: a list on the stack.
class path {
 public:
  path() = default;
  path(const path* up, std::string_view name) : up_{up}, name_{name} {}
  path(const path* up, std::size_t index)
      : up_{up}, index_{index}, element_{true} {}
  /// "state.items[3].price"
  std::string text() const;

 private:
  const path* up_ = nullptr;
  std::string_view name_ = "state";
  std::size_t index_ = 0;
  bool element_ = false;
};

[[noreturn]] void throw_bad(const path& at, const std::string& why);

/// A unit of time that has a suffix.
enum class unit : std::uint8_t { ns, us, ms, s, min, h, d };

template <class Period>
constexpr unit unit_of() {
  if constexpr (std::ratio_equal_v<Period, std::nano>)
    return unit::ns;
  else if constexpr (std::ratio_equal_v<Period, std::micro>)
    return unit::us;
  else if constexpr (std::ratio_equal_v<Period, std::milli>)
    return unit::ms;
  else if constexpr (std::ratio_equal_v<Period, std::ratio<1>>)
    return unit::s;
  else if constexpr (std::ratio_equal_v<Period, std::ratio<60>>)
    return unit::min;
  else if constexpr (std::ratio_equal_v<Period, std::ratio<3600>>)
    return unit::h;
  else {
    static_assert(std::ratio_equal_v<Period, std::ratio<86400>>,
                  "a duration of your state needs a unit from nanoseconds to "
                  "days");
    return unit::d;
  }
}

void write_text(std::string& out, std::string_view text, const path& at);
void write_signed(std::string& out, std::int64_t x);
void write_unsigned(std::string& out, std::uint64_t x);
void write_real(std::string& out, double x, const path& at);
void write_duration(std::string& out, std::int64_t count, unit in);
void write_value(std::string& out, const boost::json::value& v);

std::string_view read_text(const boost::json::value& v, const path& at);
bool read_bool(const boost::json::value& v, const path& at);
std::int64_t read_signed(const boost::json::value& v, std::int64_t least,
                         std::int64_t most, const path& at);
std::uint64_t read_unsigned(const boost::json::value& v, std::uint64_t most,
                            const path& at);
double read_real(const boost::json::value& v, const path& at);
/// A duration's count in the unit `in`; an error if it does not come out even.
std::int64_t read_count(const boost::json::value& v, unit in, const path& at);
const boost::json::object& read_object(const boost::json::value& v,
                                       const path& at);
const boost::json::array& read_array(const boost::json::value& v,
                                     const path& at);

/// Levels of arrays and objects that a state or a timer's body may have.
constexpr std::size_t most_depth = 100;

/// What is committed must be readable again.
/// @throws std::length_error if JSON `text` nests deeper than `most_depth`
void check_depth(std::string_view text);

/// Parses JSON so that every number is the nearest double to its text.
/// (Boost.JSON 1.81 is off by an ulp for one in ten 17-digit numbers; a state
/// would drift with every restart.) Nesting is limited to `most_depth`.
/// @throws std::runtime_error with the offset.
boost::json::value parse_exact(std::string_view text);

}  // namespace troupe::detail
