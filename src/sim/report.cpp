#include "sim/report.hpp"

#include <cstdio>
#include <string_view>

#include "core/json.hpp"

namespace troupe::sim {

namespace {

const char* to_text(verdict::state s) {
  switch (s) {
    case verdict::state::ok: return "ok";
    case verdict::state::broken: return "BROKEN";
    case verdict::state::not_exercised: return "not exercised";
  }
  return "";
}

const char* meaning(const std::string& name) {
  if (name == "G1")
    return "nothing accepted is lost";
  if (name == "G2")
    return "state changes exactly once";
  if (name == "G3")
    return "a chat's order holds";
  if (name == "G4")
    return "a turn is all or nothing";
  if (name == "G5")
    return "no call is repeated without need";
  if (name == "G6")
    return "one owner per shard";
  if (name == "G7")
    return "no limit window is overfilled";
  if (name == "G8")
    return "retry_after is kept";
  if (name == "G9")
    return "campaigns and replies both move";
  return "";
}

template <class... Args>
void line(std::string& out, const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, format, args...);
  out += text;
  out += '\n';
}

void row(std::string& out, const char* name, const percentiles& p) {
  line(out, "  %-22s p50 %.2f   p95 %.2f   p99 %.2f   max %.2f ms", name, p.p50,
       p.p95, p.p99, p.max);
}

class object_text {
 public:
  object_text& add(std::string_view key, std::string_view raw) {
    out_ += out_.empty() ? '{' : ',';
    append_json_string(out_, key);
    out_ += ':';
    out_ += raw;
    return *this;
  }
  object_text& add(std::string_view key, std::uint64_t n) {
    return add(key, std::string_view{std::to_string(n)});
  }
  // Boost writes 2E1 for 20, which shell tools don't read.
  object_text& add(std::string_view key, double x) {
    char text[48];
    std::snprintf(text, sizeof text, "%.3f", x);
    return add(key, std::string_view{text});
  }
  object_text& add(std::string_view key, bool b) {
    return add(key, std::string_view{b ? "true" : "false"});
  }
  object_text& add_text(std::string_view key, std::string_view text) {
    std::string quoted;
    append_json_string(quoted, text);
    return add(key, std::string_view{quoted});
  }
  object_text& add(std::string_view key, const percentiles& p) {
    object_text o;
    o.add("p50", p.p50).add("p95", p.p95).add("p99", p.p99).add("max", p.max);
    return add(key, std::string_view{o.done()});
  }
  std::string done() const { return out_.empty() ? "{}" : out_ + '}'; }

 private:
  std::string out_;
};

unsigned long long ull(std::uint64_t n) {
  return n;
}

}  // namespace

std::string to_table(const verdict& v) {
  std::string out;
  for (auto& g : v.guarantees)
    line(out, "%s  %-33s %-14s %s", g.name.c_str(), meaning(g.name),
         to_text(g.is), g.what.c_str());
  line(out, "run %-33s %-14s %llu of %llu updates accepted, ended %s",
       " all that was made was accepted", v.complete() ? "ok" : "INCOMPLETE",
       ull(v.accepted), ull(v.updates), v.end.c_str());
  out += '\n';
  row(out, "accept (POST to 2xx)", v.accept_ms);
  row(out, "end to end", v.end_to_end_ms);
  line(out, "  %-22s %.1f/s over %.1f s, %.0f in the busiest second",
       "messages recorded", v.replies_per_second, v.seconds,
       v.peak_replies_per_second);
  line(out, "  %-22s %.1f %% over the busiest stretch", "global budget used",
       v.global_utilisation * 100);
  line(out, "  %-22s %llu, of them unprovoked %llu", "answers 429",
       ull(v.answers_429), ull(v.answers_429_unprovoked));
  line(out, "  %-22s %llu not 2xx, %llu without an answer, %llu repeated",
       "webhook deliveries", ull(v.failed_deliveries), ull(v.unreachable),
       ull(v.redelivered));
  line(out, "  %-22s %llu calls, %llu faults on purpose, %llu times 403",
       "calls", ull(v.calls), ull(v.faults), ull(v.refused_403));
  if (v.dropped_texts > 0)
    line(out, "  %-22s %llu: not in allowed_updates, or the queue was full",
         "texts never made", ull(v.dropped_texts));
  for (auto& f : v.findings)
    out += "  ! " + f + '\n';
  const char* end = "NOT PROVEN: see above.";
  if (v.ok())
    end = "All guarantees that were exercised held.";
  else if (!v.proves_something() && !v.broke_something())
    end = "PROVED NOTHING: no guarantee was exercised.";
  line(out, "\n%s", end);
  return out;
}

std::string to_json(const verdict& v) {
  object_text o;
  o.add("ok", v.ok());
  o.add("proves_something", v.proves_something());
  o.add_text("end", v.end);
  o.add("updates", v.updates);
  o.add("texts", v.texts);
  o.add("dropped_texts", v.dropped_texts);
  o.add("accepted", v.accepted);
  o.add("undelivered", v.undelivered);
  o.add("redelivered", v.redelivered);
  o.add("failed_deliveries", v.failed_deliveries);
  o.add("unreachable", v.unreachable);
  o.add("calls", v.calls);
  o.add("replies", v.replies);
  o.add("refused_403", v.refused_403);
  o.add("faults", v.faults);
  o.add("lost", v.lost);
  o.add("undeliverable", v.undeliverable);
  o.add("order_violations", v.order_violations);
  o.add("state_errors", v.state_errors);
  o.add("torn_turns", v.torn_turns);
  o.add("duplicates", v.duplicates);
  o.add("excused_duplicates", v.excused_duplicates);
  o.add("overlapping_calls", v.overlapping_calls);
  o.add("limit_violations", v.limit_violations());
  o.add("limit_violations_global", v.limit_violations_global);
  o.add("limit_violations_chat", v.limit_violations_chat);
  o.add("limit_violations_group", v.limit_violations_group);
  o.add("attempt_violations", v.attempt_violations);
  o.add("retry_after_violations", v.retry_after_violations);
  o.add("retry_after_violations_chat", v.retry_after_violations_chat);
  o.add("retry_after_violations_bot", v.retry_after_violations_bot);
  o.add("bot_freezes", v.bot_freezes);
  o.add("answers_429", v.answers_429);
  o.add("answers_429_unprovoked", v.answers_429_unprovoked);
  o.add("accept_ms", v.accept_ms);
  o.add("end_to_end_ms", v.end_to_end_ms);
  o.add("seconds", v.seconds);
  o.add("replies_per_second", v.replies_per_second);
  o.add("peak_replies_per_second", v.peak_replies_per_second);
  o.add("global_utilisation", v.global_utilisation);
  object_text guarantees;
  for (auto& g : v.guarantees)
    guarantees.add_text(g.name, to_text(g.is));
  o.add("guarantees", std::string_view{guarantees.done()});
  std::string findings = "[";
  for (auto& f : v.findings) {
    if (findings.size() > 1)
      findings += ',';
    append_json_string(findings, f);
  }
  o.add("findings", std::string_view{findings + ']'});
  return o.done();
}

}  // namespace troupe::sim
