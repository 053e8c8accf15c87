#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// JSON as text: what is needed where bytes must be kept as they are (bodies
/// of calls, elements of an answer) or where the text may be cut short.
/// Private to this module.
namespace troupe::telegram::detail {

std::string_view trimmed(std::string_view text) noexcept;

/// An integer in decimal digits, '-' allowed, nothing around it. Nothing if it
/// does not fit 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text) noexcept;

/// True for a number as JSON writes it.
bool is_json_number(std::string_view text) noexcept;

/// True if every escape in `body` (what stands between a string's quotes) is
/// one of JSON's. Lone surrogates pass: the grammar allows them.
bool valid_escapes(std::string_view body) noexcept;

/// The text that `body` stands for. Lone surrogates become U+FFFD; an escape
/// that JSON does not know stands for its letter.
std::string unescape(std::string_view body);

/// The start of `text`, at most `limit` bytes, not cut inside a character.
std::string_view prefix(std::string_view text, std::size_t limit) noexcept;

/// Bytes of the first `units` UTF-16 code units of `text` (valid UTF-8), or of
/// all of it if it has fewer: Telegram counts its entities so.
std::size_t utf16_prefix(std::string_view text, std::int64_t units) noexcept;

std::string lower(std::string_view ascii);
bool equal_nocase(std::string_view a, std::string_view lower_b) noexcept;
bool starts_nocase(std::string_view text,
                   std::string_view lower_start) noexcept;

/// A member of an object, or (without a name) an element of an array.
struct item {
  std::string_view name;   ///< between its quotes, escapes as they stand
  std::string_view value;  ///< its text, without white space around it

  bool named(std::string_view wanted) const;
  bool is_string() const noexcept { return value.starts_with('"'); }
  /// Between the quotes, if it is a string; else the text as it stands.
  std::string_view body() const noexcept;
};

/// Lists what is directly inside an object or array. Brackets and strings are
/// matched, nothing else of the values is checked, so that a text which breaks
/// off still yields what came before.
/// **Lifetime**: views into the text. **Cost**: no allocation, no recursion.
class items {
 public:
  explicit items(std::string_view text) noexcept;

  bool is_object() const noexcept { return close_ == '}'; }
  bool is_array() const noexcept { return close_ == ']'; }

  /// The next item; false at the end, or where the text stops being JSON.
  bool next(item& out) noexcept;

  /// After `next` said no: true if the closing bracket was reached.
  bool complete() const noexcept { return complete_; }
  /// Where the next item would start; after the end, what follows.
  std::size_t position() const noexcept { return at_; }

 private:
  void skip_space() noexcept;
  bool skip_string() noexcept;
  bool skip_value() noexcept;

  std::string_view text_;
  std::size_t at_ = 0;
  char close_ = 0;
  bool first_ = true;
  bool complete_ = false;
};

/// The first member of that name.
std::optional<item> find_member(std::string_view object,
                                std::string_view name) noexcept;

/// An integer, or one in a string.
std::optional<std::int64_t> integer_of(const item& from) noexcept;

}  // namespace troupe::telegram::detail
