#include "sim/report.hpp"

#include <cstdio>

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
  if (name == "G1") return "nothing accepted is lost";
  if (name == "G2") return "state changes exactly once";
  if (name == "G3") return "a chat's order holds";
  if (name == "G4") return "a turn is all or nothing";
  if (name == "G5") return "no call is repeated without need";
  if (name == "G6") return "one owner per shard";
  if (name == "G7") return "no limit window is overfilled";
  if (name == "G8") return "retry_after is kept";
  if (name == "G9") return "campaigns and replies both move";
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

json::object to_object(const percentiles& p) {
  return {{"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}, {"max", p.max}};
}

unsigned long long ull(std::uint64_t n) { return n; }

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
  for (auto& f : v.findings)
    out += "  ! " + f + '\n';
  line(out, "\n%s", v.ok() ? "All guarantees that were exercised held."
                           : "NOT PROVEN: see above.");
  return out;
}

std::string to_json(const verdict& v) {
  json::object o;
  o["ok"] = v.ok();
  o["end"] = v.end;
  o["updates"] = v.updates;
  o["texts"] = v.texts;
  o["accepted"] = v.accepted;
  o["undelivered"] = v.undelivered;
  o["redelivered"] = v.redelivered;
  o["failed_deliveries"] = v.failed_deliveries;
  o["unreachable"] = v.unreachable;
  o["calls"] = v.calls;
  o["replies"] = v.replies;
  o["refused_403"] = v.refused_403;
  o["faults"] = v.faults;
  o["lost"] = v.lost;
  o["undeliverable"] = v.undeliverable;
  o["order_violations"] = v.order_violations;
  o["state_errors"] = v.state_errors;
  o["torn_turns"] = v.torn_turns;
  o["duplicates"] = v.duplicates;
  o["excused_duplicates"] = v.excused_duplicates;
  o["limit_violations"] = v.limit_violations();
  o["limit_violations_global"] = v.limit_violations_global;
  o["limit_violations_chat"] = v.limit_violations_chat;
  o["limit_violations_group"] = v.limit_violations_group;
  o["retry_after_violations"] = v.retry_after_violations;
  o["answers_429"] = v.answers_429;
  o["answers_429_unprovoked"] = v.answers_429_unprovoked;
  o["accept_ms"] = to_object(v.accept_ms);
  o["end_to_end_ms"] = to_object(v.end_to_end_ms);
  o["seconds"] = v.seconds;
  o["replies_per_second"] = v.replies_per_second;
  o["peak_replies_per_second"] = v.peak_replies_per_second;
  o["global_utilisation"] = v.global_utilisation;
  json::object guarantees;
  for (auto& g : v.guarantees)
    guarantees[g.name] = to_text(g.is);
  o["guarantees"] = std::move(guarantees);
  json::array findings;
  for (auto& f : v.findings)
    findings.push_back(json::value(f));
  o["findings"] = std::move(findings);
  return json::serialize(o);
}

}  // namespace troupe::sim
