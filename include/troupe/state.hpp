#pragma once

#include <array>
#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enumerators.hpp>
#include <boost/describe/members.hpp>
#include <boost/describe/modifiers.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <boost/mp11/algorithm.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/detail/json_text.hpp"

/// State as JSON. A struct becomes an object of its described members:
///
/// ```cpp
/// struct item { std::string name; int price = 0; };
/// BOOST_DESCRIBE_STRUCT(item, (), (name, price))
/// struct cart { std::vector<item> items; std::optional<std::string> note; };
/// BOOST_DESCRIBE_STRUCT(cart, (), (items, note))
/// ```
///
/// | C++ | JSON |
/// |---|---|
/// | described struct | object; inherited members too if the base is listed |
/// | described enum | the enumerator's name |
/// | `std::string` | string (UTF-8, else an error) |
/// | bool, integers, `float`, `double` | as they are; numbers are exact |
/// | `std::optional` | the value, or null |
/// | vector, deque, list, set, `std::array` | array |
/// | map, unordered_map with string keys | object |
/// | duration (ns to days, integer count) | a string with its unit: "90s" |
/// | `sys_time` of milliseconds or coarser | Unix time in milliseconds |
/// | `boost::json::value` | itself |
///
/// **Reading**: a missing member keeps the default of its struct. A member
/// that is not described is kept and written back where it was, so that a
/// newer version's data survives an older one; an array element that was both
/// changed and moved loses such members.
/// **Errors**: std::runtime_error for a value of the wrong type, an unknown
/// enumerator or a number out of range, naming the member
/// (`state.items[3].price`).
namespace troupe {

/// The JSON of a state or a part of it.
/// @throws std::runtime_error for what JSON can't hold (NaN, bad UTF-8).
template <class T>
std::string to_json(const T& x);

/// Reads what `to_json` wrote into a `T{}`.
template <class T>
T from_json(std::string_view text);

namespace detail {

template <class T>
concept described_struct =
    std::is_class_v<T> && boost::describe::has_describe_members<T>::value;

template <class T>
concept described_enum =
    std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

template <class T>
concept number = (std::integral<T> && !std::same_as<T, bool> &&
                  !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                  !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                  !std::same_as<T, char32_t>) ||
                 std::same_as<T, float> || std::same_as<T, double>;

template <class T>
concept map_like = requires {
  typename T::mapped_type;
}
&&std::same_as<typename T::key_type, std::string>;

template <class T>
concept sequence = !std::same_as<T, std::string> && !map_like<T> &&
                   requires(T & x, typename T::value_type y) {
  x.begin();
  x.clear();
  x.insert(x.end(), std::move(y));
};

template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t N>
inline constexpr bool is_array<std::array<T, N>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> =
    std::integral<Rep>;
template <class T>
inline constexpr bool is_instant = false;
template <class D>
inline constexpr bool is_instant<std::chrono::sys_time<D>> =
    std::ratio_greater_equal_v<typename D::period, std::milli>&&
        std::integral<typename D::rep>;

template <class T>
using members_of =
    boost::describe::describe_members<T, boost::describe::mod_any_access |
                                             boost::describe::mod_inherited>;

template <class T>
constexpr bool stateless() {
  return std::is_empty_v<T>;
}

template <class T>
constexpr bool usable_state() {
  return stateless<T>() || described_struct<T>;
}

template <class T>
inline constexpr bool no_json_form = false;

#define TROUPE_NO_JSON_FORM(T)                                            \
  static_assert(no_json_form<T>,                                          \
                "a member of your state has a type without a JSON form: " \
                "describe it with BOOST_DESCRIBE_STRUCT or "              \
                "BOOST_DESCRIBE_ENUM, or see the table in troupe/state.hpp")

// -- writing ------------------------------------------------------------------

template <class T>
void write(std::string& out, const T& x, const path& at);

template <class T>
void write_members(std::string& out, const T& x, const path& at) {
  char before = '{';
  boost::mp11::mp_for_each<members_of<T>>([&](auto d) {
    out.push_back(before);
    before = ',';
    path here{&at, d.name};
    write_text(out, d.name, here);
    out.push_back(':');
    write(out, x.*d.pointer, here);
  });
  if (before == '{')
    out.push_back('{');
  out.push_back('}');
}

template <class T>
void write_map(std::string& out, const T& x, const path& at) {
  // Sorted, so that equal maps have equal texts.
  std::map<std::string_view, const typename T::mapped_type*> sorted;
  for (const auto& [key, value] : x)
    sorted.emplace(key, &value);
  char before = '{';
  for (const auto& [key, value] : sorted) {
    out.push_back(before);
    before = ',';
    path here{&at, key};
    write_text(out, key, here);
    out.push_back(':');
    write(out, *value, here);
  }
  if (before == '{')
    out.push_back('{');
  out.push_back('}');
}

template <class T>
void write_elements(std::string& out, const T& x, const path& at) {
  std::size_t n = 0;
  out.push_back('[');
  for (auto&& y : x) {
    if (n)
      out.push_back(',');
    write(out, static_cast<const typename T::value_type&>(y), path{&at, n++});
  }
  out.push_back(']');
}

template <class T>
void write_enumerator(std::string& out, T x, const path& at) {
  const char* name = nullptr;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
      [&](auto d) {
        if (!name && d.value == x)
          name = d.name;
      });
  if (!name)
    throw_bad(at, "has no enumerator of its type");
  write_text(out, name, at);
}

template <class T>
void write(std::string& out, const T& x, const path& at) {
  if constexpr (std::same_as<T, std::string>)
    write_text(out, x, at);
  else if constexpr (std::same_as<T, bool>)
    out += x ? "true" : "false";
  else if constexpr (std::floating_point<T> && number<T>)
    write_real(out, x, at);
  else if constexpr (std::signed_integral<T> && number<T>)
    write_signed(out, x);
  else if constexpr (number<T>)
    write_unsigned(out, x);
  else if constexpr (described_enum<T>)
    write_enumerator(out, x, at);
  else if constexpr (is_duration<T>)
    write_duration(out, x.count(), unit_of<typename T::period>());
  else if constexpr (is_instant<T>)
    write_signed(out, std::chrono::duration_cast<std::chrono::milliseconds>(
                          x.time_since_epoch())
                          .count());
  else if constexpr (std::same_as<T, boost::json::value>)
    write_value(out, x);
  else if constexpr (is_optional<T>) {
    if (x)
      write(out, *x, at);
    else
      out += "null";
  } else if constexpr (described_struct<T>)
    write_members(out, x, at);
  else if constexpr (map_like<T>)
    write_map(out, x, at);
  else if constexpr (is_array<T> || sequence<T>)
    write_elements(out, x, at);
  else
    TROUPE_NO_JSON_FORM(T);
}

// -- reading ------------------------------------------------------------------

/// @param unknown is set if there was a member that is not described.
template <class T>
void read(const boost::json::value& v, T& x, const path& at, bool& unknown);

template <class T>
void read_members(const boost::json::value& v, T& x, const path& at,
                  bool& unknown) {
  const auto& members = read_object(v, at);
  std::size_t known = 0;
  boost::mp11::mp_for_each<members_of<T>>([&](auto d) {
    if (const auto* found = members.if_contains(d.name)) {
      ++known;
      read(*found, x.*d.pointer, path{&at, d.name}, unknown);
    }
  });
  if (known < members.size())
    unknown = true;
}

template <class T>
void read_elements(const boost::json::value& v, T& x, const path& at,
                   bool& unknown) {
  const auto& elements = read_array(v, at);
  std::size_t n = 0;
  if constexpr (is_array<T>) {
    if (elements.size() != x.size())
      throw_bad(at, "has the wrong number of elements");
    for (auto& y : x) {
      read(elements[n], y, path{&at, n}, unknown);
      ++n;
    }
  } else {
    x.clear();
    for (const auto& element : elements) {
      typename T::value_type y{};
      read(element, y, path{&at, n++}, unknown);
      x.insert(x.end(), std::move(y));
    }
  }
}

template <class T>
void read_enumerator(const boost::json::value& v, T& x, const path& at) {
  auto name = read_text(v, at);
  bool found = false;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
      [&](auto d) {
        if (!found && name == d.name) {
          x = d.value;
          found = true;
        }
      });
  if (!found)
    throw_bad(at, "names no enumerator: \"" + std::string{name} + '"');
}

template <class T>
void read_number(const boost::json::value& v, T& x, const path& at) {
  using limits = std::numeric_limits<T>;
  if constexpr (std::floating_point<T>) {
    auto y = read_real(v, at);
    if (y > limits::max() || y < limits::lowest())
      throw_bad(at, "is out of range");
    x = static_cast<T>(y);
  } else if constexpr (std::signed_integral<T>) {
    x = static_cast<T>(read_signed(v, limits::min(), limits::max(), at));
  } else {
    x = static_cast<T>(read_unsigned(v, limits::max(), at));
  }
}

template <class T>
void read_instant(const boost::json::value& v, T& x, const path& at) {
  using wide = std::numeric_limits<std::int64_t>;
  std::chrono::milliseconds ms{read_signed(v, wide::min(), wide::max(), at)};
  x = T{std::chrono::floor<typename T::duration>(ms)};
  if (x.time_since_epoch() != ms)
    throw_bad(at, "is finer than its type");
}

template <class T>
void read_duration(const boost::json::value& v, T& x, const path& at) {
  auto n = read_count(v, unit_of<typename T::period>(), at);
  if (!std::in_range<typename T::rep>(n))
    throw_bad(at, "is out of range");
  x = T{static_cast<typename T::rep>(n)};
}

template <class T>
void read(const boost::json::value& v, T& x, const path& at, bool& unknown) {
  if constexpr (std::same_as<T, std::string>)
    x = read_text(v, at);
  else if constexpr (std::same_as<T, bool>)
    x = read_bool(v, at);
  else if constexpr (number<T>)
    read_number(v, x, at);
  else if constexpr (described_enum<T>)
    read_enumerator(v, x, at);
  else if constexpr (is_duration<T>)
    read_duration(v, x, at);
  else if constexpr (is_instant<T>)
    read_instant(v, x, at);
  else if constexpr (std::same_as<T, boost::json::value>)
    x = v;
  else if constexpr (is_optional<T>) {
    if (v.is_null())
      x.reset();
    else
      read(v, x.emplace(), at, unknown);
  } else if constexpr (described_struct<T>)
    read_members(v, x, at, unknown);
  else if constexpr (map_like<T>) {
    x.clear();
    for (const auto& member : read_object(v, at)) {
      std::string key{member.key()};
      path here{&at, key};
      read(member.value(), x[key], here, unknown);
    }
  } else if constexpr (is_array<T> || sequence<T>)
    read_elements(v, x, at, unknown);
  else
    TROUPE_NO_JSON_FORM(T);
}

// -- members that this version does not know ----------------------------------

/// True if what `T` describes is equal in both.
template <class T>
bool same_known(const boost::json::value& a, const boost::json::value& b) {
  if constexpr (described_struct<T>) {
    if (!a.is_object() || !b.is_object())
      return false;
    bool same = true;
    boost::mp11::mp_for_each<members_of<T>>([&](auto d) {
      using member =
          std::remove_cvref_t<decltype(std::declval<T&>().*d.pointer)>;
      const auto* x = a.get_object().if_contains(d.name);
      const auto* y = b.get_object().if_contains(d.name);
      same = same && x && y && same_known<member>(*x, *y);
    });
    return same;
  } else if constexpr (is_optional<T>) {
    return a.is_null() == b.is_null() &&
           (a.is_null() || same_known<typename T::value_type>(a, b));
  } else if constexpr (is_array<T> || sequence<T>) {
    if (!a.is_array() || !b.is_array() ||
        a.get_array().size() != b.get_array().size())
      return false;
    for (std::size_t i = 0; i < a.get_array().size(); ++i)
      if (!same_known<typename T::value_type>(a.get_array()[i],
                                              b.get_array()[i]))
        return false;
    return true;
  } else if constexpr (map_like<T>) {
    if (!a.is_object() || !b.is_object() ||
        a.get_object().size() != b.get_object().size())
      return false;
    for (const auto& [key, x] : a.get_object()) {
      const auto* y = b.get_object().if_contains(key);
      if (!y || !same_known<typename T::mapped_type>(x, *y))
        return false;
    }
    return true;
  } else {
    return a == b;
  }
}

/// Puts into `fresh` what `old` has and `T` does not describe.
template <class T>
void keep_unknown(boost::json::value& fresh, const boost::json::value& old);

/// Elements may have moved, so an equal one is looked for, mostly right behind
/// the last one found. What was changed in place keeps its place.
template <class T>
void keep_in_elements(boost::json::array& fresh,
                      const boost::json::array& old) {
  std::vector<bool> used(old.size()), kept(fresh.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < fresh.size(); ++i)
    for (std::size_t n = 0; n < old.size(); ++n) {
      auto k = (next + n) % old.size();
      if (used[k] || !same_known<T>(fresh[i], old[k]))
        continue;
      keep_unknown<T>(fresh[i], old[k]);
      used[k] = kept[i] = true;
      next = k + 1;
      break;
    }
  if (fresh.size() != old.size())
    return;
  for (std::size_t i = 0; i < fresh.size(); ++i)
    if (!kept[i] && !used[i])
      keep_unknown<T>(fresh[i], old[i]);
}

template <class T>
void keep_unknown(boost::json::value& fresh, const boost::json::value& old) {
  if constexpr (is_optional<T>) {
    keep_unknown<typename T::value_type>(fresh, old);
  } else if constexpr (described_struct<T>) {
    if (!fresh.is_object() || !old.is_object())
      return;
    auto rest = old.get_object();
    boost::mp11::mp_for_each<members_of<T>>([&](auto d) {
      using member =
          std::remove_cvref_t<decltype(std::declval<T&>().*d.pointer)>;
      if (const auto* x = rest.if_contains(d.name)) {
        keep_unknown<member>(fresh.get_object()[d.name], *x);
        rest.stable_erase(d.name);
      }
    });
    for (auto& [key, x] : rest)
      fresh.get_object().emplace(key, std::move(x));
  } else if constexpr (map_like<T>) {
    if (!fresh.is_object() || !old.is_object())
      return;
    for (auto& [key, x] : fresh.get_object())
      if (const auto* y = old.get_object().if_contains(key))
        keep_unknown<typename T::mapped_type>(x, *y);
  } else if constexpr (is_array<T> || sequence<T>) {
    if (fresh.is_array() && old.is_array())
      keep_in_elements<typename T::value_type>(fresh.get_array(),
                                               old.get_array());
  }
}

}  // namespace detail

template <class T>
std::string to_json(const T& x) {
  std::string out;
  detail::write(out, x, detail::path{});
  return out;
}

template <class T>
T from_json(std::string_view text) {
  T x{};
  bool unknown = false;
  detail::read(detail::parse_exact(text), x, detail::path{}, unknown);
  return x;
}

}  // namespace troupe
