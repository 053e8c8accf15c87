#include "app/otlp.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "core/json.hpp"
#include "core/log.hpp"

namespace troupe::app {
namespace {

constexpr std::size_t longest_text = 1024;
constexpr int status_error = 2;
constexpr int flag_sampled = 1;

void append_text(std::string& out, std::string_view text) {
  auto clean = log::redact(std::string{text});
  if (clean.size() > longest_text)
    clean.resize(longest_text);
  append_json_string(out, clean);
}

/// 64-bit numbers are strings in the JSON of protocol buffers.
void append_number(std::string& out, std::int64_t n) {
  out += '"';
  out += std::to_string(n);
  out += '"';
}

void append_attribute(std::string& out, const tracing::attribute& what) {
  out += "{\"key\":";
  append_json_string(out, what.key);
  out += ",\"value\":{";
  if (const auto* text = std::get_if<std::string>(&what.value)) {
    out += "\"stringValue\":";
    append_text(out, *text);
  } else if (const auto* n = std::get_if<std::int64_t>(&what.value)) {
    out += "\"intValue\":";
    append_number(out, *n);
  } else {
    out += "\"boolValue\":";
    out += std::get<bool>(what.value) ? "true" : "false";
  }
  out += "}}";
}

/// `"name":[...]` of what `each` appends.
template <class List, class Each>
void append_list(std::string& out, std::string_view name, const List& all,
                 Each each) {
  out += '"';
  out += name;
  out += "\":[";
  bool first = true;
  for (const auto& one : all) {
    if (!std::exchange(first, false))
      out += ',';
    each(one);
  }
  out += ']';
}

void append_attributes(std::string& out, const tracing::attributes& all) {
  append_list(out, "attributes", all,
              [&](const auto& one) { append_attribute(out, one); });
}

void append_ids(std::string& out, const tracing::trace_id& trace,
                tracing::span_id span) {
  out += "\"traceId\":\"" + to_string(trace) + "\",\"spanId\":\"" +
         to_string(span) + '"';
}

void append_status(std::string& out, const tracing::span& s) {
  out += ",\"status\":{";
  if (s.failed) {
    out += "\"code\":" + std::to_string(status_error);
    if (!s.error.empty()) {
      out += ",\"message\":";
      append_text(out, s.error);
    }
  }
  out += '}';
}

void append_span(std::string& out, const tracing::span& s) {
  out += '{';
  append_ids(out, s.trace, s.id);
  if (s.parent != tracing::span_id{})
    out += ",\"parentSpanId\":\"" + to_string(s.parent) + '"';
  out += ",\"flags\":" + std::to_string(flag_sampled) + ",\"name\":";
  append_text(out, s.name);
  out += ",\"kind\":" + std::to_string(static_cast<int>(s.kind)) +
         ",\"startTimeUnixNano\":";
  append_number(out, s.start_ns);
  out += ",\"endTimeUnixNano\":";
  append_number(out, s.end_ns);
  out += ',';
  append_attributes(out, s.with);
  if (!s.moments.empty()) {
    out += ',';
    append_list(out, "events", s.moments, [&](const auto& one) {
      out += "{\"timeUnixNano\":";
      append_number(out, one.at_ns);
      out += ",\"name\":";
      append_json_string(out, one.name);
      out += ',';
      append_attributes(out, one.with);
      out += '}';
    });
  }
  if (!s.links.empty()) {
    out += ',';
    append_list(out, "links", s.links, [&](const auto& one) {
      out += '{';
      append_ids(out, one.trace, one.span);
      out += '}';
    });
  }
  append_status(out, s);
  out += '}';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' '))
    text.remove_prefix(1);
  while (text.ends_with(' '))
    text.remove_suffix(1);
  return text;
}

/// False if a '%' does not stand before two hex digits.
bool decode(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 ||
        hex_digit(text[i + 2]) < 0)
      return false;
    out +=
        static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  return true;
}

}  // namespace

std::string encode_otlp(const otlp_resource& of,
                        std::span<const tracing::span> spans) {
  const tracing::attributes resource{
      {"service.name", of.service},
      {"service.instance.id", of.instance},
      {"telemetry.sdk.name", "troupe"},
      {"telemetry.sdk.language", "cpp"},
      {"telemetry.sdk.version", of.version},
  };
  std::string out;
  out.reserve(1024 + spans.size() * 768);
  out += "{\"resourceSpans\":[{\"resource\":{";
  append_attributes(out, resource);
  out += "},\"scopeSpans\":[{\"scope\":{\"name\":\"troupe\",\"version\":";
  append_json_string(out, of.version);
  out += "},";
  append_list(out, "spans", spans,
              [&](const auto& one) { append_span(out, one); });
  out += "}]}]}";
  return out;
}

otlp_refusal read_otlp_answer(std::string_view body) {
  otlp_refusal out;
  const auto parsed = parse_json(body);
  if (!parsed || !parsed->is_object())
    return out;
  const auto* partial = parsed->as_object().if_contains("partialSuccess");
  if (partial == nullptr || !partial->is_object())
    return out;
  const auto& in = partial->as_object();
  if (const auto* why = in.if_contains("errorMessage"); why && why->is_string())
    out.why = std::string{why->as_string()};
  const auto* n = in.if_contains("rejectedSpans");
  if (n == nullptr)
    return out;
  if (n->is_int64())
    out.spans = n->as_int64();
  else if (n->is_string())
    std::from_chars(n->as_string().begin(), n->as_string().end(), out.spans);
  return out;
}

result<std::vector<std::pair<std::string, std::string>>> read_otlp_headers(
    std::string_view text) {
  const auto wrong = [](const char* what) {
    return error{errc::bad_input, what};
  };
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto one = trimmed(text.substr(at, end - at));
    at = end + 1;
    if (one.empty())
      continue;
    const auto equals = one.find('=');
    if (equals == std::string_view::npos)
      return wrong("must be name=value, with commas between");
    const auto name = trimmed(one.substr(0, equals));
    const bool fits = std::ranges::all_of(name, [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '-' ||
             c == '_' || c == '.';
    });
    if (name.empty() || !fits)
      return wrong("has a name that no header has");
    std::string value;
    if (!decode(trimmed(one.substr(equals + 1)), value))
      return wrong("has a '%' without two hex digits behind it");
    const bool visible = std::ranges::all_of(
        value, [](char c) { return c >= 0x20 && c != 0x7f; });
    if (value.empty() || !visible)
      return wrong("has a value that no header has");
    out.emplace_back(name, std::move(value));
  }
  return out;
}

}  // namespace troupe::app
