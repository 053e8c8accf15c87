#include "app/top/frame.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "app/top/figures.hpp"

namespace troupe::app::top {
namespace {

enum class tone { plain, head, quiet, good, warn, bad };

const char* code_of(tone t) {
  switch (t) {
    case tone::head: return "\x1b[1m";
    case tone::quiet: return "\x1b[2m";
    case tone::good: return "\x1b[32m";
    case tone::warn: return "\x1b[33m";
    case tone::bad: return "\x1b[1;31m";
    case tone::plain: break;
  }
  return "";
}

/// A line in the making: cut where the screen ends, coloured or not.
class text_line {
 public:
  explicit text_line(const look& of) : of_{of} {}

  text_line& put(std::string_view what, tone t = tone::plain) {
    const auto room = of_.columns - std::min(of_.columns, used_);
    const auto fits = cut(what, room);
    used_ += columns_of(fits);
    if (fits.empty())
      return *this;
    const bool coloured = of_.colour && t != tone::plain;
    out_ += coloured ? code_of(t) + fits + "\x1b[0m" : fits;
    return *this;
  }
  /// Right up to a column; always one space at least.
  text_line& to(std::size_t column) {
    return put(std::string(
        std::max<std::size_t>(1, column - std::min(column, used_)), ' '));
  }
  std::size_t used() const noexcept { return used_; }
  std::string done() { return std::move(out_); }

 private:
  const look& of_;
  std::string out_;
  std::size_t used_ = 0;
};

class picture {
 public:
  picture(const json::object& stats, const link_state& how, const look& of)
      : in_{stats}, how_{how}, of_{of} {}

  std::vector<std::string> draw() {
    title();
    if (in_.empty())
      return std::move(lines_);
    figures();
    curves();
    limit();
    store();
    errors();
    alarms();
    campaigns();
    nodes();
    busiest();
    return std::move(lines_);
  }

 private:
  text_line fresh() const { return text_line{of_}; }
  void add(text_line l) {
    if (of_.rows == 0 || lines_.size() < of_.rows)
      lines_.push_back(l.done());
  }
  std::size_t rows_left() const {
    return of_.rows == 0 ? 1'000 : of_.rows - lines_.size();
  }

  void title() {
    auto l = fresh();
    l.put("troupe top ", tone::head);
    l.put(in_.empty() ? how_.url : text(in_, {"node"}), tone::head).put("  ");
    if (!how_.trouble.empty()) {
      l.put(harmless(how_.trouble), tone::bad);
    } else if (const auto at = find(in_, {"running"}); at != nullptr) {
      l.put("not running", tone::bad);
    } else if (flag("draining")) {
      l.put("draining", tone::warn);
    } else if (flag("ready")) {
      l.put("ready", tone::good);
    } else {
      l.put("not ready", tone::bad);
    }
    if (!in_.empty())
      l.put("  up " + as_span(number(in_, {"uptime_s"})));
    const auto right = columns_of(how_.clock);
    if (l.used() + 1 + right <= of_.columns)
      l.to(of_.columns - right).put(how_.clock, tone::quiet);
    add(std::move(l));
  }

  bool flag(std::string_view name) const {
    const auto at = in_.if_contains(name);
    return at != nullptr && at->is_bool() && at->get_bool();
  }

  std::optional<double> waiting() const {
    const auto depth = [&](std::string_view name) {
      return number(in_, {"depth", name}).value_or(0);
    };
    if (find(in_, {"depth"}) == nullptr)
      return std::nullopt;
    return depth("to_turn") + depth("parked") + depth("unread");
  }

  std::string recent(std::string_view name) const {
    return as_count(number(in_, {"recent", name}));
  }
  std::string latency(std::string_view of, std::string_view p) const {
    const auto seen = number(in_, {"recent", "latency", of, "count"});
    return seen && *seen > 0 ? as_ms(number(in_, {"recent", "latency", of, p}))
                             : "-";
  }

  /// `name value` pairs in columns of their own.
  void pairs(std::string_view head,
             const std::vector<std::pair<std::string, std::string>>& all,
             std::size_t each = 16) {
    auto l = fresh();
    l.put(head, tone::quiet);
    std::size_t column = 9;
    for (const auto& [name, value] : all) {
      l.to(column).put(name + " ", tone::quiet).put(value);
      column = std::max(column + each, l.used() + 2);
    }
    add(std::move(l));
  }

  void figures() {
    pairs("now",
          {{"turns/s", recent("turns_per_s")},
           {"accepted/s", recent("accepted_per_s")},
           {"calls/s", recent("calls_per_s")}},
          20);
    pairs("reply",
          {{"p50", latency("reply", "p50_ms")},
           {"p95", latency("reply", "p95_ms")},
           {"p99", latency("reply", "p99_ms")}},
          20);
    pairs("depth",
          {{"journal", as_count(waiting())},
           {"outbox", as_count(number(in_, {"depth", "outbox"}))},
           {"in flight", as_count(number(in_, {"depth", "in_flight"}))}},
          20);
  }

  std::string curve(std::string_view name, std::size_t columns) const {
    static constexpr const char* blocks[] = {"▁", "▂", "▃", "▄",
                                             "▅", "▆", "▇", "█"};
    static constexpr const char* ascii[] = {"_", ".", ":", "-",
                                            "=", "+", "*", "#"};
    std::vector<double> values;
    for (const auto& one : list(in_, {"history", name}))
      values.push_back(one.is_number() ? one.to_number<double>() : 0);
    if (values.size() > columns)
      values.erase(values.begin(), values.end() - std::ptrdiff_t(columns));
    double most = 0;
    for (const double one : values)
      most = std::max(most, one);
    std::string out;
    for (const double one : values) {
      const auto level =
          most > 0 ? std::clamp(std::int64_t(std::ceil(one / most * 7)),
                                std::int64_t{0}, std::int64_t{7})
                   : 0;
      out += (of_.unicode ? blocks : ascii)[level];
    }
    return out;
  }

  void curves() {
    struct drawn {
      const char* head;
      const char* name;
    };
    constexpr drawn all[] = {{"turns/s", "turns_per_s"},
                             {"p95", "reply_p95_ms"},
                             {"journal", "journal"}};
    for (const auto& one : all) {
      if (list(in_, {"history", one.name}).empty())
        continue;
      auto l = fresh();
      l.put(one.head, tone::quiet).to(9);
      // The newest at the right end, whatever the width.
      l.put(curve(one.name,
                  of_.columns - std::min<std::size_t>(of_.columns, l.used())));
      add(std::move(l));
    }
  }

  void limit() {
    if (find(in_, {"global_limit"}) == nullptr)
      return pairs("limit", {{"of all chats", "none"}});
    const auto at = [&](std::string_view name) {
      return number(in_, {"global_limit", name});
    };
    const auto frozen = at("frozen_ms").value_or(0);
    pairs("limit",
          {{"used", as_count(at("used")) + " of " + as_count(at("limit"))},
           {"speed", as_count(at("factor").value_or(1) * 100) + "%"},
           {"frozen", frozen > 0 ? as_ms(frozen) : "no"},
           {"freezes", as_count(number(in_, {"totals", "global_freezes"}))}});
  }

  void store() {
    pairs("store",
          {{"accept p95", latency("accept", "p95_ms")},
           {"commit p95", latency("commit", "p95_ms")},
           {"size", as_bytes(number(in_, {"store", "bytes"}))},
           {"dead letters", as_count(number(in_, {"store", "dead_letters"}))}},
          18);
  }

  void errors() {
    struct shown {
      const char* name;
      const char* key;
    };
    constexpr shown all[] = {{"429", "telegram_429"}, {"5xx", "telegram_5xx"},
                             {"net", "network"},      {"400", "refused"},
                             {"403", "chat_gone"},    {"handler", "handler"},
                             {"store", "store"},      {"503", "pushed_back"}};
    auto l = fresh();
    l.put("errors", tone::quiet).to(9);
    for (const auto& one : all) {
      const auto n = number(in_, {"recent", "errors", one.key});
      l.put(std::string{one.name} + " ", tone::quiet);
      l.put(as_count(n), n.value_or(0) > 0 ? tone::bad : tone::plain);
      l.put("  ");
    }
    l.put("(10 s)", tone::quiet);
    add(std::move(l));
  }

  void alarm(const std::string& what) {
    auto l = fresh();
    l.put("! " + what, tone::bad);
    add(std::move(l));
  }

  void alarms() {
    if (waiting().value_or(0) > 1'000)
      alarm(as_count(waiting()) + " updates wait for their turn");
    const auto p95 =
        number(in_, {"recent", "latency", "reply", "p95_ms"}).value_or(0);
    if (p95 > 5'000)
      alarm("replies take " + as_ms(p95) + " (p95)");
    if (const auto& none = list(in_, {"cluster", "shards", "unowned"});
        !none.empty())
      alarm(std::to_string(none.size()) + " shards are nobody's");
    if (const auto& two = list(in_, {"cluster", "shards", "claimed_twice"});
        !two.empty())
      alarm(std::to_string(two.size()) + " shards are claimed twice");
  }

  void campaigns() {
    for (const auto& one : list(in_, {"campaigns"})) {
      if (!one.is_object() || rows_left() == 0)
        continue;
      const auto& c = one.get_object();
      const auto n = [&](std::string_view name) {
        return number(c, {name}).value_or(0);
      };
      const double done = n("sent") + n("failed") + n("unknown");
      const double part = n("total") > 0 ? done / n("total") : 0;
      constexpr std::size_t bar = 16;
      const auto full = std::size_t(std::clamp(part, 0.0, 1.0) * bar);
      auto l = fresh();
      const auto name = text(c, {"name"});
      l.put("campaign ", tone::quiet)
          .put(name.empty() || name == "-" ? text(c, {"id"}) : name)
          .put(" " + text(c, {"state"}))
          .put(" [" + std::string(full, '#') + std::string(bar - full, '.') +
               "] ")
          .put(as_count(done) + "/" + as_count(n("total")) + " " +
               as_count(n("rate")) + "/s left " +
               as_span(number(c, {"eta_s"})));
      add(std::move(l));
    }
  }

  /// By node: its shards as ranges.
  std::map<std::string, std::string> shards() const {
    std::map<std::string, std::vector<std::int64_t>> held;
    for (const auto& one : list(in_, {"cluster", "shards", "owned"}))
      if (one.is_object())
        held[text(one.get_object(), {"node"})].push_back(
            std::int64_t(number(one.get_object(), {"shard"}).value_or(0)));
    std::map<std::string, std::string> out;
    for (const auto& [node, all] : held) {
      std::string ranges;
      for (std::size_t i = 0; i < all.size();) {
        auto end = i;
        while (end + 1 < all.size() && all[end + 1] == all[end] + 1)
          ++end;
        ranges += (i > 0 ? " " : "") + std::to_string(all[i]);
        if (end > i)
          ranges += "-" + std::to_string(all[end]);
        i = end + 1;
      }
      out[node] = ranges;
    }
    return out;
  }

  void row(const std::vector<std::pair<std::string, std::size_t>>& cells,
           tone t = tone::plain) {
    auto l = fresh();
    std::size_t column = 0;
    for (const auto& [what, width] : cells) {
      l.put(cut(what, width - 1), t);
      column += width;
      l.to(column);
    }
    add(std::move(l));
  }

  void nodes() {
    const auto& all = list(in_, {"cluster", "nodes"});
    if (all.empty()) {
      const auto owned = list(in_, {"shards"}).size();
      pairs("shards", {{"all here", std::to_string(owned)}});
      return;
    }
    const auto held = shards();
    row({{"NODE", 22},
         {"STATE", 10},
         {"SHARDS", 7},
         {"TURNS", 9},
         {"HEARD", 8},
         {"WHICH", 200}},
        tone::quiet);
    for (const auto& one : all) {
      if (!one.is_object())
        continue;
      const auto& n = one.get_object();
      const auto name = text(n, {"name"});
      const auto which = held.find(name);
      const auto state = text(n, {"state"});
      row({{name, 22},
           {state, 10},
           {as_count(number(n, {"shards"})), 7},
           {as_count(number(n, {"counters", "turns"})), 9},
           {as_ms(number(n, {"word_age_ms"})), 8},
           {which == held.end() ? "" : which->second, 200}},
          state == "serving" ? tone::plain : tone::warn);
    }
  }

  void busiest() {
    const auto& all = list(in_, {"busiest"});
    if (all.empty() || rows_left() < 2)
      return;
    row({{"BUSIEST CHAT", 32}, {"WAITING", 10}, {"TURNS", 10}}, tone::quiet);
    for (std::size_t i = 0; i < std::min<std::size_t>(10, all.size()); ++i) {
      if (!all[i].is_object())
        continue;
      const auto& c = all[i].get_object();
      row({{text(c, {"chat"}), 32},
           {as_count(number(c, {"waiting"})), 10},
           {as_count(number(c, {"turns"})), 10}});
    }
  }

  const json::object& in_;
  const link_state& how_;
  const look& of_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> frame(const json::object& stats, const link_state& how,
                               const look& of) {
  return picture{stats, how, of}.draw();
}

}  // namespace troupe::app::top
