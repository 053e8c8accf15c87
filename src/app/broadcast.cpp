#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <future>
#include <iterator>
#include <optional>
#include <random>

#include "app/campaign_pages.hpp"
#include "app/commands.hpp"
#include "app/node_link.hpp"
#include "core/clock.hpp"
#include "core/json.hpp"

namespace troupe::app {
namespace {

constexpr std::chrono::milliseconds look_every{1'000};
/// A node that restarts is waited for so long.
constexpr int most_silences = 60;
constexpr std::int64_t bar_width = 24;
/// Asked again so often when nobody says what became of a start.
constexpr int most_starts = 10;

std::int64_t count_of(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  boost::system::error_code bad;
  const auto n = found ? found->to_number<std::int64_t>(bad) : 0;
  return bad ? 0 : n;
}

std::optional<std::int64_t> whole_digits(std::string_view text) {
  std::int64_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, bad] = std::from_chars(text.data(), end, n);
  if (text.empty() || text[0] == '-' || bad != std::errc{} || stop != end)
    return std::nullopt;
  return n;
}

/// `+30m`, or `2026-01-31T18:00Z` with or without seconds: ms since 1970.
std::optional<std::int64_t> read_time(const std::string& text,
                                      std::int64_t now_ms) {
  if (text.starts_with('+') && text.size() > 2) {
    const auto n =
        whole_digits(std::string_view{text}.substr(1, text.size() - 2));
    const std::int64_t unit = text.back() == 's'   ? 1'000
                              : text.back() == 'm' ? 60'000
                              : text.back() == 'h' ? 3'600'000
                              : text.back() == 'd' ? 86'400'000
                                                   : 0;
    if (!n || unit == 0 || *n > 100'000'000)
      return std::nullopt;
    return now_ms + *n * unit;
  }
  const std::string_view all{text};
  const bool seconds = all.size() == 20;
  if ((all.size() != 17 && !seconds) || all[4] != '-' || all[7] != '-' ||
      all[10] != 'T' || all[13] != ':' || (seconds && all[16] != ':') ||
      all.back() != 'Z')
    return std::nullopt;
  const auto year = whole_digits(all.substr(0, 4));
  const auto month = whole_digits(all.substr(5, 2));
  const auto day = whole_digits(all.substr(8, 2));
  const auto hour = whole_digits(all.substr(11, 2));
  const auto minute = whole_digits(all.substr(14, 2));
  const auto second = seconds ? whole_digits(all.substr(17, 2)) : 0;
  if (!year || !month || !day || !hour || !minute || !second || *hour > 23 ||
      *minute > 59 || *second > 59)
    return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year{static_cast<int>(*year)},
      std::chrono::month{static_cast<unsigned>(*month)},
      std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok())
    return std::nullopt;
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  return ((std::int64_t{days} * 24 + *hour) * 60 + *minute) * 60'000 +
         *second * 1'000;
}

std::string new_request_key() {
  std::random_device random;
  std::string out = "cli-";
  for (int i = 0; i < 12; ++i)
    out += "0123456789abcdef"[random() % 16];
  return out;
}

std::string eta_of(const json::object& page) {
  const json::value* eta = page.if_contains("eta_s");
  return eta == nullptr || eta->is_null()
             ? "-"
             : std::to_string(count_of(page, "eta_s")) + " s";
}

std::string progress(const json::object& page) {
  const auto ended = count_of(page, "sent") + count_of(page, "failed") +
                     count_of(page, "blocked") + count_of(page, "unknown");
  const auto total = std::max(count_of(page, "total"), ended);
  const auto full = total == 0 ? 0 : ended * bar_width / total;
  return '[' + std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(bar_width - full), '.') + "] " +
         text_of(page, "state") + ' ' + std::to_string(ended) + '/' +
         std::to_string(total) + ": sent " + text_of(page, "sent") +
         ", failed " + text_of(page, "failed") + ", blocked " +
         text_of(page, "blocked") + ", unknown " + text_of(page, "unknown") +
         ", ETA " + eta_of(page);
}

class broadcast_desk {
 public:
  broadcast_desk(node_link& node, const invocation& call, console& talk)
      : node_{node}, call_{call}, talk_{talk} {}

  int start() {
    auto body = command();
    if (!body) {
      talk_.say("broadcast start: " + body.error().context);
      return exit_usage;
    }
    const auto page = begin(*body);
    if (!page)
      return failed(page.error());
    const auto id = count_of(*page, "id");
    if (!call_.follow && !call_.dry_run)
      return show(*page);
    talk_.say("campaign " + std::to_string(id));
    return follow(id);
  }

  int list() {
    const auto page = get("");
    if (!page)
      return failed(page.error());
    if (call_.json) {
      talk_.data(json::serialize(*page));
      return exit_ok;
    }
    talk_.data("ID\tNAME\tSTATE\tTOTAL\tSENT\tFAILED\tBLOCKED\tUNKNOWN\tETA");
    for (const json::value& one : page->at("campaigns").get_array()) {
      const json::object& in = one.get_object();
      std::string line;
      for (const char* name : {"id", "name", "state", "total", "sent", "failed",
                               "blocked", "unknown"})
        line += text_of(in, name) + '\t';
      talk_.data(line + eta_of(in));
    }
    return exit_ok;
  }

  int one() {
    const auto id = static_cast<std::int64_t>(call_.ids.front());
    if (call_.follow)
      return follow(id);
    const auto page = get('/' + std::to_string(id));
    return page ? show(*page) : failed(page.error());
  }

  int steer(const char* what) {
    const auto page =
        post('/' + std::to_string(call_.ids.front()) + '/' + what, "{}");
    if (!page)
      return failed(page.error());
    talk_.data(call_.json ? json::serialize(*page)
                          : std::string{what} + ": accepted");
    return exit_ok;
  }

 private:
  /// However often it is asked, one campaign begins: by its request.
  result<json::object> begin(json::object& body) {
    auto request = call_.request;
    if (request.empty()) {
      request = new_request_key();
      talk_.say("request " + request);
    }
    body["request"] = request;
    const auto text = json::serialize(body);
    std::promise<void> never;
    auto pause = never.get_future();
    for (int tries = 1;; ++tries) {
      auto page = post("", text);
      if (page || page.error().code == errc::bad_input ||
          page.error().code == errc::conflict ||
          page.error().code == errc::too_large)
        return page;
      const auto& e = page.error();
      const std::string why = e.context.empty() ? to_string(e) : e.context;
      if (tries == most_starts)
        return error{e.code, why +
                                 "\nIt may have begun: broadcast list shows "
                                 "it. The same command with --request " +
                                 request + " begins no second one."};
      talk_.say("broadcast: " + why + "; asking again");
      pause.wait_for(look_every);
    }
  }

  result<json::object> command() const {
    json::object out;
    if (call_.text.empty() == call_.file.empty())
      return error{errc::bad_input, "give --text or --file"};
    if (!call_.text.empty()) {
      out["method"] = "sendMessage";
      out["params"] = json::object{{"text", call_.text}};
    } else {
      std::ifstream in{call_.file, std::ios::binary};
      const std::string text{std::istreambuf_iterator<char>{in}, {}};
      auto parsed = parse_json(text);
      if (!in.good() && !in.eof())
        return error{errc::bad_input, "can't read " + call_.file};
      if (!parsed || !parsed->is_object() ||
          !parsed->as_object().contains("method") ||
          !parsed->as_object().contains("params") ||
          parsed->as_object().size() != 2)
        return error{errc::bad_input,
                     call_.file +
                         ": expected {\"method\":\"sendMessage\","
                         "\"params\":{...}} and nothing else; who is meant "
                         "and when are flags"};
      out["method"] = parsed->as_object()["method"];
      out["params"] = parsed->as_object()["params"];
    }
    out["audience"] = call_.audience;
    out["name"] = call_.name;
    out["rate"] = call_.rate;
    out["dry_run"] = call_.dry_run;
    out["repeat"] = call_.repeat;
    if (!call_.at.empty()) {
      const auto at = read_time(call_.at, to_ms(system_clock().wall()));
      if (!at)
        return error{errc::bad_input, "--at: write 2026-01-31T18:00Z, or +30m"};
      out["at_ms"] = *at;
    }
    return out;
  }

  /// Until it is over, or paused.
  int follow(std::int64_t id) {
    std::promise<void> never;
    auto pause = never.get_future();
    std::string said;
    for (int silent = 0; silent < most_silences;) {
      auto page = get('/' + std::to_string(id));
      if (!page) {
        if (page.error().code == errc::not_found || ++silent == most_silences)
          return failed(page.error());
      } else {
        silent = 0;
        if (auto line = progress(*page); line != said) {
          talk_.say(line);
          said = std::move(line);
        }
        const auto state = text_of(*page, "state");
        if (state == "done" || state == "cancelled" || state == "paused") {
          show(*page);
          return state == "done" ? exit_ok : exit_failed;
        }
      }
      pause.wait_for(look_every);
    }
    return exit_failed;
  }

  int show(const json::object& page) {
    if (call_.json) {
      talk_.data(json::serialize(page));
      return exit_ok;
    }
    for (const auto& [name, value] : page)
      talk_.data(std::string{name} + ": " + text_of(page, name));
    return exit_ok;
  }

  result<json::object> get(const std::string& rest) {
    http::request what;
    what.target = std::string{campaigns_path} + rest;
    return fetch(node_, std::move(what));
  }

  result<json::object> post(const std::string& rest, std::string body) {
    http::request what;
    what.method = "POST";
    what.target = std::string{campaigns_path} + rest;
    what.headers.add("Content-Type", "application/json");
    what.body = std::move(body);
    return fetch(node_, std::move(what));
  }

  int failed(const error& e) {
    talk_.say("broadcast: " + (e.context.empty() ? to_string(e) : e.context));
    return exit_failed;
  }

  node_link& node_;
  const invocation& call_;
  console& talk_;
};

}  // namespace

int broadcast(const settings& with, const invocation& call, console& talk) {
  const auto node = find_running(with);
  if (!node) {
    talk.say("broadcast: " + node.error().context);
    return exit_failed;
  }
  broadcast_desk todo{**node, call, talk};
  switch (call.what) {
    case command::broadcast_start: return todo.start();
    case command::broadcast_list: return todo.list();
    case command::broadcast_show: return todo.one();
    case command::broadcast_pause: return todo.steer("pause");
    case command::broadcast_resume: return todo.steer("resume");
    default: return todo.steer("cancel");
  }
}

}  // namespace troupe::app
