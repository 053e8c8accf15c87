#include "core/log.hpp"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include "core/json.hpp"

namespace troupe::log {

namespace {

constexpr std::string_view mask = "***";
constexpr std::size_t shortest_secret = 4;

std::atomic<level> least{level::info};

// Readers take the newest set without a lock. Older sets stay reachable for
// good: secrets are added a handful of times per process.
struct secret_set {
  std::vector<std::string> longest_first;
  const secret_set* older = nullptr;
};

std::atomic<const secret_set*> secrets{nullptr};

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

// Bytes of `text` at `at` that spell `secret`, or 0. Any of its characters may
// be percent-encoded (a token inside a URL) or escaped as in JSON.
std::size_t spelled_at(std::string_view text, std::size_t at,
                       std::string_view secret) noexcept {
  std::size_t i = at;
  for (char c : secret) {
    if (i >= text.size())
      return 0;
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == c &&
        (c == '"' || c == '\\' || c == '/')) {
      i += 2;
    } else if (text[i] == c) {
      ++i;
    } else if (text[i] == '%' && i + 2 < text.size() &&
               hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0 &&
               static_cast<char>(hex_digit(text[i + 1]) * 16 +
                                 hex_digit(text[i + 2])) == c) {
      i += 3;
    } else {
      return 0;
    }
  }
  return i - at;
}

// Appends `text` to `out`, secrets masked; false (and nothing appended) if it
// holds none, which is the usual case and costs no copy.
bool append_masked(std::string& out, std::string_view text) {
  const auto* known = secrets.load(std::memory_order_acquire);
  if (known == nullptr)
    return false;
  std::size_t clean = 0;
  bool found = false;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t n = 0;
    for (const auto& secret : known->longest_first) {
      n = spelled_at(text, i, secret);
      if (n != 0)
        break;
    }
    if (n == 0) {
      ++i;
      continue;
    }
    out.append(text.substr(clean, i - clean)).append(mask);
    i += n;
    clean = i;
    found = true;
  }
  if (found)
    out.append(text.substr(clean));
  return found;
}

template <class Number>
void append_number(std::string& out, Number n) {
  char digits[32];
  auto [end, ec] = std::to_chars(digits, digits + sizeof digits, n);
  out.append(digits, ec == std::errc{} ? end : digits);
}

void append_padded(std::string& out, unsigned n, int width) {
  char digits[10];
  for (int i = width; i-- > 0; n /= 10)
    digits[i] = static_cast<char>('0' + n % 10);
  out.append(digits, static_cast<std::size_t>(width));
}

void append_time(std::string& out) {
  using namespace std::chrono;
  auto now = floor<milliseconds>(std::chrono::system_clock::now());
  auto day = floor<days>(now);
  year_month_day date{day};
  hh_mm_ss clock{now - day};
  append_padded(out, static_cast<unsigned>(int{date.year()}), 4);
  out.push_back('-');
  append_padded(out, unsigned{date.month()}, 2);
  out.push_back('-');
  append_padded(out, unsigned{date.day()}, 2);
  out.push_back('T');
  append_padded(out, static_cast<unsigned>(clock.hours().count()), 2);
  out.push_back(':');
  append_padded(out, static_cast<unsigned>(clock.minutes().count()), 2);
  out.push_back(':');
  append_padded(out, static_cast<unsigned>(clock.seconds().count()), 2);
  out.push_back('.');
  append_padded(out, static_cast<unsigned>(clock.subseconds().count()), 3);
  out.push_back('Z');
}

std::string_view name_of(level at) noexcept {
  switch (at) {
    case level::debug: return "debug";
    case level::info: return "info";
    case level::warn: return "warn";
    case level::error: return "error";
    case level::off: break;
  }
  return "off";
}

spdlog::level::level_enum to_spdlog(level at) noexcept {
  switch (at) {
    case level::debug: return spdlog::level::debug;
    case level::info: return spdlog::level::info;
    case level::warn: return spdlog::level::warn;
    case level::error: return spdlog::level::err;
    case level::off: break;
  }
  return spdlog::level::off;
}

// Never destroyed, so that threads may log while the process exits.
spdlog::sinks::sink& out_stderr() {
  static auto& sink = *[] {
    auto* made = new spdlog::sinks::stderr_sink_mt;
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%v", spdlog::pattern_time_type::utc, "\n"));
    return made;
  }();
  return sink;
}

}  // namespace

void field::append_to(std::string& out) const {
  append_json_string(out, key_);
  out.push_back(':');
  switch (type_) {
    case type::number: append_number(out, number_); break;
    case type::natural:
      append_number(out, static_cast<std::uint64_t>(number_));
      break;
    case type::real:
      if (std::isfinite(real_))
        append_number(out, real_);
      else
        out += "null";
      break;
    case type::boolean: out += number_ != 0 ? "true" : "false"; break;
    case type::text:
      // Before escaping, so that the line is JSON whatever a secret holds.
      if (std::string clean; append_masked(clean, text_))
        append_json_string(out, clean);
      else
        append_json_string(out, text_);
      break;
  }
}

void threshold(level at_least) noexcept {
  least.store(at_least, std::memory_order_relaxed);
}

bool enabled(level at) noexcept {
  return at != level::off && at >= least.load(std::memory_order_relaxed);
}

bool parse_level(std::string_view text, level& out) noexcept {
  for (auto candidate :
       {level::debug, level::info, level::warn, level::error, level::off}) {
    if (text == name_of(candidate)) {
      out = candidate;
      return true;
    }
  }
  return false;
}

void add_secret(std::string secret) {
  if (secret.size() < shortest_secret)
    return;
  static std::mutex adding;
  std::lock_guard guard{adding};
  const auto* old = secrets.load(std::memory_order_relaxed);
  auto next = std::make_unique<secret_set>();
  if (old != nullptr)
    next->longest_first = old->longest_first;
  auto& all = next->longest_first;
  if (std::find(all.begin(), all.end(), secret) != all.end())
    return;
  all.push_back(std::move(secret));
  // A secret may be the beginning of another: the longer one is tried first.
  std::stable_sort(all.begin(), all.end(),
                   [](const std::string& a, const std::string& b) {
                     return a.size() > b.size();
                   });
  next->older = old;
  secrets.store(next.release(), std::memory_order_release);
}

std::string redact(std::string text) {
  std::string clean;
  return append_masked(clean, text) ? clean : std::move(text);
}

void write(level at, std::string_view event,
           std::initializer_list<field> fields) {
  if (!enabled(at))
    return;
  thread_local std::string line;
  line.assign("{\"t\":\"");
  append_time(line);
  line += "\",\"level\":\"";
  line += name_of(at);
  line += "\",";
  field{"event", event}.append_to(line);
  for (const auto& f : fields) {
    line.push_back(',');
    f.append_to(line);
  }
  line.push_back('}');
  out_stderr().log(spdlog::details::log_msg{
      spdlog::string_view_t{}, to_spdlog(at),
      spdlog::string_view_t{line.data(), line.size()}});
}

}  // namespace troupe::log
