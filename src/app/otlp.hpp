#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "core/span.hpp"

/// OTLP/HTTP with JSON, as far as spans need it. Pure.
namespace troupe::app {

/// Whose spans they are.
struct otlp_resource {
  std::string service;   ///< the bot
  std::string instance;  ///< the node
  std::string version;   ///< of Troupe
};

/// The body of an ExportTraceServiceRequest. Secrets that the log knows are
/// masked, and texts are cut after 1 KiB.
std::string encode_otlp(const otlp_resource& of,
                        std::span<const tracing::span> spans);

/// What a collector did not take, though it answered 200.
struct otlp_refusal {
  std::int64_t spans = 0;
  std::string why;
};
otlp_refusal read_otlp_answer(std::string_view body);

/// Reads `name=value,other=value`, as OTEL_EXPORTER_OTLP_HEADERS has it; values
/// may be percent-encoded.
/// **Errors**: `errc::bad_input`, without the text: values are secrets.
result<std::vector<std::pair<std::string, std::string>>> read_otlp_headers(
    std::string_view text);

}  // namespace troupe::app
