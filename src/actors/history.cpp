#include "actors/history.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace troupe::actors {

namespace {

struct figure {
  const char* name;
  std::uint64_t (*value)(const meters&);
};

// The first three are rates, the others are errors by class.
constexpr std::size_t rates = 3;
constexpr figure all_figures[] = {
    {"turns_per_s",
     [](const meters& m) {
       return m.turns_done.value() + m.turns_unhandled.value() +
              m.turns_stale.value() + m.turns_repeated.value();
     }},
    {"accepted_per_s", [](const meters& m) { return m.accepted.value(); }},
    {"calls_per_s", [](const meters& m) { return m.calls_sent.value(); }},
    {"telegram_429", [](const meters& m) { return m.answers_429.value(); }},
    {"telegram_5xx", [](const meters& m) { return m.answers_5xx.value(); }},
    {"network", [](const meters& m) { return m.network_failures.value(); }},
    {"refused", [](const meters& m) { return m.answers_refused.value(); }},
    {"chat_gone", [](const meters& m) { return m.answers_gone.value(); }},
    {"unknown", [](const meters& m) { return m.unknown_outcomes.value(); }},
    {"handler", [](const meters& m) { return m.turns_threw.value(); }},
    {"handler_late", [](const meters& m) { return m.turns_late.value(); }},
    {"store", [](const meters& m) { return m.store_errors.value(); }},
    {"pushed_back",
     [](const meters& m) {
       return m.refused_overload.value() + m.refused_store.value();
     }},
    {"dead_letters", [](const meters& m) { return m.dead_letters.value(); }},
};

struct spread_of {
  const char* name;
  metrics::histogram& (*value)(const meters&);
};

constexpr spread_of all_spreads[] = {
    {"reply",
     [](const meters& m) -> metrics::histogram& { return m.reply_seconds; }},
    {"accept",
     [](const meters& m) -> metrics::histogram& { return m.accept_seconds; }},
    {"turn_run",
     [](const meters& m) -> metrics::histogram& { return m.turn_run_seconds; }},
    {"commit",
     [](const meters& m) -> metrics::histogram& { return m.commit_seconds; }},
    {"call",
     [](const meters& m) -> metrics::histogram& { return m.call_seconds; }},
};

// Of a curve's latencies, those that are drawn: replies, and the store's two.
constexpr std::size_t reply_spread = 0;
constexpr std::size_t accept_spread = 1;
constexpr std::size_t commit_spread = 3;

double rounded(double value) {
  return double(std::int64_t(value * 100 + 0.5)) / 100;
}

double quantile_ms(const metrics::bucket_counts& of, double q) {
  return rounded(metrics::quantile_of(of, q) * 1000);
}

json::object latency(const metrics::bucket_counts& of) {
  std::uint64_t count = 0;
  for (auto n : of)
    count += n;
  return {{"count", count},
          {"p50_ms", quantile_ms(of, 0.5)},
          {"p95_ms", quantile_ms(of, 0.95)},
          {"p99_ms", quantile_ms(of, 0.99)}};
}

}  // namespace

struct history::sum {
  std::uint64_t ms = 0;
  levels most;
  totals of;

  double per_second(std::size_t figure) const {
    return ms == 0 ? 0 : rounded(double(of.counts[figure]) * 1000 / double(ms));
  }
};

history::history(const meters& of) : meters_{of}, last_{read()} {
  static_assert(std::size(all_figures) == figures);
  static_assert(std::size(all_spreads) == spreads);
  ring_.reserve(kept);
}

history::totals history::read() const {
  totals out;
  for (std::size_t i = 0; i < figures; ++i)
    out.counts[i] = all_figures[i].value(meters_);
  for (std::size_t i = 0; i < spreads; ++i) {
    const auto& from = all_spreads[i].value(meters_);
    for (std::size_t b = 0; b < metrics::histogram::buckets; ++b)
      out.spread[i][b] = from.in_bucket(b);
  }
  return out;
}

void history::take(levels at, mono_time when, wall_time clock) {
  const auto seen = read();
  std::lock_guard guard{mutex_};
  sample s;
  const auto passed =
      std::chrono::duration_cast<milliseconds>(when - last_at_).count();
  s.at = at;
  for (std::size_t i = 0; i < figures; ++i)
    s.counts[i] = std::uint32_t(seen.counts[i] - last_.counts[i]);
  for (std::size_t i = 0; i < spreads; ++i)
    for (std::size_t b = 0; b < metrics::histogram::buckets; ++b)
      s.spread[i][b] = std::uint32_t(seen.spread[i][b] - last_.spread[i][b]);
  last_ = seen;
  last_clock_ = clock;
  // The first call only says from when on it counts.
  if (std::exchange(last_at_, when) == mono_time{})
    return;
  s.ms = std::uint32_t(std::max<std::int64_t>(1, passed));
  ++taken_;
  if (ring_.size() < kept) {
    ring_.push_back(s);
    return;
  }
  ring_[oldest_] = s;
  oldest_ = (oldest_ + 1) % kept;
}

history::sum history::of(std::size_t first, std::size_t end) const {
  sum out;
  for (auto i = first; i < end; ++i) {
    const auto& s = get(i);
    out.ms += s.ms;
    out.most.journal = std::max(out.most.journal, s.at.journal);
    out.most.outbox = std::max(out.most.outbox, s.at.outbox);
    for (std::size_t f = 0; f < figures; ++f)
      out.of.counts[f] += s.counts[f];
    for (std::size_t f = 0; f < spreads; ++f)
      for (std::size_t b = 0; b < metrics::histogram::buckets; ++b)
        out.of.spread[f][b] += s.spread[f][b];
  }
  return out;
}

json::object history::recent() const {
  std::lock_guard guard{mutex_};
  const auto end = ring_.size();
  const auto all = of(end - std::min(end, now), end);
  json::object out{{"seconds", rounded(double(all.ms) / 1000)}};
  for (std::size_t i = 0; i < rates; ++i)
    out[all_figures[i].name] = all.per_second(i);
  json::object errors;
  for (std::size_t i = rates; i < figures; ++i)
    errors[all_figures[i].name] = all.of.counts[i];
  out["errors"] = std::move(errors);
  json::object latencies;
  for (std::size_t i = 0; i < spreads; ++i)
    latencies[all_spreads[i].name] = latency(all.of.spread[i]);
  out["latency"] = std::move(latencies);
  return out;
}

json::object history::curves() const {
  std::lock_guard guard{mutex_};
  json::array journal, outbox, p50, p95, p99, accept, commit;
  std::vector<json::array> counts(figures);
  // A point is always of the same samples, so that a curve moves on instead of
  // changing its shape; what does not fill a point yet is left out.
  const auto first = taken_ - ring_.size();
  const auto skip = std::size_t((step - first % step) % step);
  for (auto i = skip; i + step <= ring_.size(); i += step) {
    const auto all = of(i, i + step);
    journal.push_back(all.most.journal);
    outbox.push_back(all.most.outbox);
    p50.push_back(quantile_ms(all.of.spread[reply_spread], 0.5));
    p95.push_back(quantile_ms(all.of.spread[reply_spread], 0.95));
    p99.push_back(quantile_ms(all.of.spread[reply_spread], 0.99));
    accept.push_back(quantile_ms(all.of.spread[accept_spread], 0.95));
    commit.push_back(quantile_ms(all.of.spread[commit_spread], 0.95));
    for (std::size_t f = 0; f < figures; ++f)
      if (f < rates)
        counts[f].push_back(all.per_second(f));
      else
        counts[f].push_back(all.of.counts[f]);
  }
  json::object out{{"step_s", step},
                   {"until_ms", to_ms(last_clock_)},
                   {"journal", std::move(journal)},
                   {"outbox", std::move(outbox)},
                   {"reply_p50_ms", std::move(p50)},
                   {"reply_p95_ms", std::move(p95)},
                   {"reply_p99_ms", std::move(p99)},
                   {"accept_p95_ms", std::move(accept)},
                   {"commit_p95_ms", std::move(commit)}};
  for (std::size_t f = 0; f < figures; ++f)
    out[all_figures[f].name] = std::move(counts[f]);
  return out;
}

}  // namespace troupe::actors
