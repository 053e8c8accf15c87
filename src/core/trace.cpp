#include "core/trace.hpp"

#include <algorithm>
#include <random>

namespace troupe::tracing {

namespace {

constexpr std::uint64_t golden = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t trace_salt = 0x74726f7570655f31ULL;
constexpr std::uint64_t span_salt = 0x74726f7570655f32ULL;

/// The finalizer of splitmix64: each bit of its input moves half of the output.
constexpr std::uint64_t mixed(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

void append_hex(std::string& out, std::uint64_t n) {
  for (int shift = 60; shift >= 0; shift -= 4)
    out += "0123456789abcdef"[(n >> shift) & 15];
}

/// Lower-case only, as W3C says. False if there is any other digit.
bool read_hex(std::string_view text, std::uint64_t& out) noexcept {
  out = 0;
  for (const char c : text) {
    const bool letter = c >= 'a' && c <= 'f';
    if (!letter && (c < '0' || c > '9'))
      return false;
    out =
        out << 4 | static_cast<std::uint64_t>(letter ? c - 'a' + 10 : c - '0');
  }
  return true;
}

}  // namespace

trace_id trace_of(std::int64_t bot, std::uint64_t event) noexcept {
  const auto who = mixed(static_cast<std::uint64_t>(bot) + trace_salt);
  trace_id out;
  out.high = mixed(who ^ mixed(event + golden));
  out.low = mixed(out.high ^ (event * golden + who));
  if (out == trace_id{})
    out.low = 1;  // all zeros are no id
  return out;
}

span_id span_of(const trace_id& in, std::uint64_t which) noexcept {
  const auto n = mixed(in.high ^ mixed(in.low ^ mixed(which + span_salt)));
  return {n != 0 ? n : 1};
}

span_id new_span() noexcept {
  thread_local std::uint64_t state = [] {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
  }();
  const auto n = mixed(state += golden);
  return {n != 0 ? n : 1};
}

std::string to_string(const trace_id& id) {
  std::string out;
  out.reserve(32);
  append_hex(out, id.high);
  append_hex(out, id.low);
  return out;
}

std::string to_string(const span_id& id) {
  std::string out;
  append_hex(out, id.value);
  return out;
}

sampler::sampler(double part) noexcept
    : threshold_{low_bits + 1 -
                 static_cast<std::uint64_t>(std::clamp(part, 0.0, 1.0) *
                                            double(low_bits + 1))} {}

std::optional<remote_span> read_traceparent(std::string_view text) noexcept {
  // VERSION-TRACE-SPAN-FLAGS; later versions may have more behind it.
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  std::uint64_t version = 0;
  std::uint64_t flags = 0;
  remote_span out;
  if (!read_hex(text.substr(0, 2), version) ||
      !read_hex(text.substr(3, 16), out.trace.high) ||
      !read_hex(text.substr(19, 16), out.trace.low) ||
      !read_hex(text.substr(36, 16), out.span.value) ||
      !read_hex(text.substr(53, 2), flags))
    return std::nullopt;
  if (version == 0xff || (version == 0 && text.size() != 55) ||
      (text.size() > 55 && text[55] != '-'))
    return std::nullopt;
  if (out.trace == trace_id{} || out.span == span_id{})
    return std::nullopt;
  out.sampled = (flags & 1) != 0;
  return out;
}

}  // namespace troupe::tracing
