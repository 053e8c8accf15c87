#include "actors/spans.hpp"

#include <utility>

// Names of attributes are OpenTelemetry's where it has one (http, messaging,
// server, url, error), and begin with `troupe.` elsewhere. Chats are named as
// in the log; texts, parameters and paths of calls are not in them.
namespace troupe::actors {

namespace {

using store::call_outcome;
using telegram::verdict;
using tracing::span_kind;

const char* word_of(call_outcome how) {
  switch (how) {
    case call_outcome::sent: return "sent";
    case call_outcome::failed: return "failed";
    case call_outcome::unknown: return "unknown";
    case call_outcome::collapsed: return "collapsed";
    case call_outcome::attempting: break;
  }
  return "attempting";
}

/// Until a call may leave for the first time.
void trace_limits(services& in, const tracing::span& call,
                  const lane_answer& what) {
  tracing::span s;
  s.trace = call.trace;
  s.id = tracing::new_span();
  s.parent = call.id;
  s.name = "limits";
  s.start_ns = in.trace.ns(what.mark.of.since);
  s.end_ns = in.trace.ns(what.mark.departed);
  in.trace.take(std::move(s));
}

void add_answer(tracing::span& s, const lane_answer& what,
                const attempt_end& end) {
  if (what.answer)
    s.with.emplace_back("http.response.status_code",
                        std::int64_t{what.answer->status});
  if (const auto* failure = std::get_if<http::failure>(&end.what)) {
    s.failed = true;
    s.error = to_string(failure->what);
    s.with.emplace_back("error.type", to_string(failure->what.code));
    s.with.emplace_back("troupe.maybe_sent", failure->maybe_sent);
    return;
  }
  const auto& answer = std::get<telegram::answer>(end.what);
  if (answer.what == verdict::sent || answer.what == verdict::not_modified)
    return;
  s.failed = true;
  s.error = answer.description;
  s.with.emplace_back("error.type", std::to_string(answer.code));
}

}  // namespace

void trace_accept(services& in, const store::arrival& what, const way_in& how,
                  const store::receipt* receipt, const error* why) {
  const auto trace = in.trace.trace_of(event_number(what.id));
  if (!in.trace.takes(trace))
    return;
  tracing::span s;
  s.trace = trace;
  // One delivery of all is the root; of the others each is beside it.
  const bool fresh = receipt != nullptr && receipt->fresh;
  s.id = fresh ? tracer::root_of(trace) : tracing::new_span();
  if (receipt != nullptr && !fresh)
    s.parent = tracer::root_of(trace);
  s.start_ns = how.start_ns;
  s.end_ns = in.trace.ns(in.how.time->mono());
  if (how.webhook) {
    s.name = "POST " + in.how.webhook_path;
    s.kind = span_kind::server;
    s.with.emplace_back("http.request.method", "POST");
    s.with.emplace_back("http.route", in.how.webhook_path);
    s.with.emplace_back("http.response.status_code",
                        std::int64_t{receipt != nullptr ? 200 : 503});
  } else {
    s.name = "receive";
    s.kind = span_kind::consumer;
  }
  s.with.emplace_back("messaging.system", "telegram");
  s.with.emplace_back("messaging.operation.type", "receive");
  s.with.emplace_back("messaging.message.id", std::to_string(what.id.value));
  s.with.emplace_back("troupe.chat", to_string(what.key));
  s.with.emplace_back("troupe.shard",
                      std::int64_t{in.shard_id_of(what.key).value});
  if (receipt != nullptr && !fresh)
    s.with.emplace_back("troupe.duplicate", true);
  if (why != nullptr) {
    s.failed = true;
    s.error = to_string(*why);
    s.with.emplace_back("error.type", to_string(why->code));
  }
  // A link, and no parent: what nodes find out by themselves is the update's
  // id, and all deliveries of it belong together.
  if (how.theirs && how.theirs->sampled)
    s.links.push_back({how.theirs->trace, how.theirs->span});
  in.trace.take(std::move(s));
}

tracing::span_id trace_attempt(services& in, const chat_key& to,
                               const lane_answer& what, const attempt_end& end,
                               mono_time now) {
  const auto& mark = what.mark;
  if (!in.trace.on() || mark.of.event == 0)
    return {};
  const auto trace = in.trace.trace_of(mark.of.event);
  if (!in.trace.takes(trace))
    return {};
  tracing::span call;
  call.trace = trace;
  call.id = tracer::call_of(trace, what.id);
  if (mark.of.attempts == 1)
    trace_limits(in, call, what);
  tracing::span s;
  s.trace = trace;
  s.id = tracing::new_span();
  s.parent = call.id;
  const auto path = "/bot{token}/" + mark.method;
  s.name = "POST " + path;
  s.kind = span_kind::client;
  s.start_ns = in.trace.ns(mark.departed);
  s.end_ns = in.trace.ns(now);
  s.with.emplace_back("http.request.method", "POST");
  s.with.emplace_back("url.template", path);
  const auto& how = in.trace.how();
  if (!how.server_address.empty()) {
    s.with.emplace_back("server.address", how.server_address);
    s.with.emplace_back("server.port", std::int64_t{how.server_port});
  }
  if (mark.of.attempts > 1)
    s.with.emplace_back("http.request.resend_count",
                        std::int64_t{mark.of.attempts} - 1);
  s.with.emplace_back("troupe.chat", to_string(to));
  add_answer(s, what, end);
  const auto id = s.id;
  in.trace.take(std::move(s));
  return id;
}

tracing::span_id trace_call(services& in, const chat_key& to,
                            const lane::settle& what) {
  if (!in.trace.on() || what.of.event == 0)
    return {};
  const auto trace = in.trace.trace_of(what.of.event);
  if (!in.trace.takes(trace))
    return {};
  const auto outcome = what.what.outcome;
  tracing::span s;
  s.trace = trace;
  s.id = tracer::call_of(trace, what.what.id);
  s.parent = tracer::parent_of_calls(trace, what.of.event);
  s.name = "call " + what.method;
  s.kind = span_kind::producer;
  s.start_ns = in.trace.ns(what.of.since);
  s.end_ns = in.trace.ns(in.how.time->mono());
  s.with.emplace_back("messaging.system", "telegram");
  s.with.emplace_back("messaging.operation.type", "send");
  s.with.emplace_back("troupe.method", what.method);
  s.with.emplace_back("troupe.chat", to_string(to));
  s.with.emplace_back("troupe.outcome", word_of(outcome));
  s.with.emplace_back("troupe.tries", std::int64_t{what.of.attempts});
  s.failed =
      outcome == call_outcome::failed || outcome == call_outcome::unknown;
  if (s.failed) {
    s.error = what.what.dead.value_or(word_of(outcome));
    s.with.emplace_back("error.type", word_of(outcome));
  }
  const auto id = s.id;
  in.trace.take(std::move(s));
  return id;
}

std::string trace_text(const services& in, std::uint64_t event) {
  return event == 0 ? std::string{}
                    : tracing::to_string(in.trace.trace_of(event));
}

std::string span_text(tracing::span_id span) {
  return span == tracing::span_id{} ? std::string{} : tracing::to_string(span);
}

}  // namespace troupe::actors
