#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace troupe::log {

enum class level : std::uint8_t { debug, info, warn, error, off };

/// One `key: value` of a log line. Values are numbers, booleans or text.
class field {
 public:
  field(std::string_view key, std::int64_t n)
      : key_{key}, type_{type::number}, number_{n} {}
  field(std::string_view key, int n) : field{key, std::int64_t{n}} {}
  field(std::string_view key, unsigned n) : field{key, std::int64_t{n}} {}
  field(std::string_view key, std::uint64_t n)
      : key_{key},
        type_{type::natural},
        number_{static_cast<std::int64_t>(n)} {}
  field(std::string_view key, double x)
      : key_{key}, type_{type::real}, real_{x} {}
  field(std::string_view key, bool b)
      : key_{key}, type_{type::boolean}, number_{b} {}
  field(std::string_view key, std::string_view text)
      : key_{key}, type_{type::text}, text_{text} {}
  field(std::string_view key, const std::string& text)
      : field{key, std::string_view{text}} {}
  field(std::string_view key, const char* text)
      : field{key, std::string_view{text}} {}

  /// Appends `"key":value`.
  void append_to(std::string& out) const;

 private:
  enum class type : std::uint8_t { number, natural, real, boolean, text };
  std::string_view key_;
  type type_;
  std::int64_t number_ = 0;
  double real_ = 0;
  std::string_view text_;
};

/// Sets the least level that is written. Default: info.
void threshold(level least) noexcept;
bool enabled(level at) noexcept;

/// Reads `debug`, `info`, `warn`, `error`, `off`; false if it is none.
bool parse_level(std::string_view text, level& out) noexcept;

/// Registers a secret: it is replaced by `***` in every later line and in
/// every text that passes through `redact`, also where some or all of its
/// characters are percent-encoded or escaped as in JSON. Secrets under 4 bytes
/// are refused silently, since they would blank innocent text.
/// **Threads**: any, meant for start-up.
void add_secret(std::string secret);

/// `text` with every registered secret replaced by `***`.
std::string redact(std::string text);

/// Writes one JSON object per line to stderr: time, level, event, fields.
/// **Threads**: any. **Cost**: one formatted line; never blocks on the disk
/// longer than stderr does.
void write(level at, std::string_view event,
           std::initializer_list<field> fields = {});

inline void debug(std::string_view event,
                  std::initializer_list<field> fields = {}) {
  write(level::debug, event, fields);
}
inline void info(std::string_view event,
                 std::initializer_list<field> fields = {}) {
  write(level::info, event, fields);
}
inline void warn(std::string_view event,
                 std::initializer_list<field> fields = {}) {
  write(level::warn, event, fields);
}
inline void error(std::string_view event,
                  std::initializer_list<field> fields = {}) {
  write(level::error, event, fields);
}

}  // namespace troupe::log
