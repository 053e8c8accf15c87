#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/trace.hpp"

namespace troupe::tracing {

/// One `key: value` of a span.
struct attribute {
  attribute(std::string_view k, std::string text)
      : key{k}, value{std::move(text)} {}
  attribute(std::string_view k, std::string_view text)
      : attribute{k, std::string{text}} {}
  attribute(std::string_view k, const char* text)
      : attribute{k, std::string{text}} {}
  attribute(std::string_view k, std::int64_t n) : key{k}, value{n} {}
  attribute(std::string_view k, bool yes) : key{k}, value{yes} {}

  std::string_view key;  ///< a literal
  std::variant<std::string, std::int64_t, bool> value;
};

using attributes = std::vector<attribute>;

/// A span of another trace that this one has to do with.
struct link {
  trace_id trace;
  span_id span;
};

/// Something that happened at one moment of a span.
struct moment_of_span {
  std::int64_t at_ns = 0;
  std::string_view name;  ///< a literal
  attributes with;
};

/// As OTLP numbers them.
enum class span_kind : std::uint8_t {
  internal = 1,
  server = 2,
  client = 3,
  producer = 4,
  consumer = 5,
};

/// Something that was done, with its beginning and its end.
struct span {
  trace_id trace;
  span_id id;
  span_id parent;  ///< none: a root
  std::string name;
  span_kind kind = span_kind::internal;
  std::int64_t start_ns = 0;  ///< since 1970
  std::int64_t end_ns = 0;
  bool failed = false;
  std::string error;  ///< if it failed: why
  attributes with;
  std::vector<moment_of_span> moments;
  std::vector<link> links;
};

/// Where spans go.
class sink {
 public:
  virtual ~sink() = default;
  /// Takes a span that has ended. Never blocks and never fails: what finds no
  /// room is dropped, and counted. **Threads**: any.
  virtual void take(span what) noexcept = 0;
};

}  // namespace troupe::tracing
