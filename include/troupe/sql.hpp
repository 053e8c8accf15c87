#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace troupe {

/// A parameter of `ctx->sql`: text, a number, a bool, or NULL (`nullptr`, or an
/// empty optional). It goes to the server apart from the statement, as text
/// that PostgreSQL reads as the type it needs there: "2026-11-26" also as a
/// date, "{\"a\":1}" also as jsonb.
/// **Errors**: std::invalid_argument for a text with a zero byte.
class sql_value {
 public:
  sql_value(std::nullptr_t) {}  // NOLINT
  template <class T>
  requires std::is_arithmetic_v<T> sql_value(T x) {  // NOLINT
    if constexpr (std::same_as<T, bool>)
      text_ = x ? "t" : "f";
    else if constexpr (std::floating_point<T>)
      put_real(static_cast<double>(x));
    else
      text_ = std::to_string(x);
  }
  template <class T>
  requires(std::convertible_to<const T&, std::string_view> &&
           !std::same_as<T, std::nullptr_t>)
      sql_value(const T& text) {  // NOLINT
    put_text(text);
  }
  template <class T>
  sql_value(const std::optional<T>& x) {  // NOLINT
    if (x)
      text_ = sql_value{*x}.text_;
  }

  /// As it is sent; nothing: NULL.
  const std::optional<std::string>& text() const noexcept { return text_; }

 private:
  void put_real(double x);
  void put_text(std::string_view text);

  std::optional<std::string> text_;
};

/// A statement that the turn makes, to be asked about where it is made.
/// **Threads**, **Lifetime**: as of `outgoing`.
class statement {
 public:
  /// True if the statement changes at least one row (of a SELECT: finds one).
  /// True is a guess that the commit checks: if it was wrong, all of the turn
  /// is taken back and the handler runs again, this time with false here, and
  /// without this statement. So what was told true has come true.
  ///
  /// ```cpp
  /// const bool mine = ctx->sql("INSERT INTO bookings VALUES($1, $2) "
  ///                            "ON CONFLICT DO NOTHING", {slot, ctx->id()})
  ///                       .changed();
  /// ctx->answer(press, mine ? "It is yours." : "Somebody was faster.");
  /// ```
  bool changed() const;

 private:
  friend class chat_base;
  statement(std::uint64_t turn, std::size_t index)
      : turn_{turn}, index_{index} {}
  std::uint64_t turn_;
  std::size_t index_;
};

}  // namespace troupe
