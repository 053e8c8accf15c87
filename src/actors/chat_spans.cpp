#include <utility>

#include "actors/chat_attempt.hpp"
#include "actors/spans.hpp"

// What a chat tells of its turns, as spans: see `tracer`.
namespace troupe::actors {

/// A span of the turn under way; it has no trace if that is not wanted.
tracing::span chat_actor::span_in_turn(const char* name) const {
  if (!shared_->trace.on())
    return {};
  tracing::span s;
  s.trace = shared_->trace.trace_of(now_->known_as);
  if (!shared_->trace.takes(s.trace))
    return {};
  s.id = tracing::new_span();
  s.parent = tracer::turn_of(s.trace, now_->known_as, now_->what.what.seq);
  s.name = name;
  return s;
}

/// The last attempt, which ran to its end.
tracing::span_id chat_actor::trace_handler() {
  auto s = span_in_turn("handler");
  if (s.id == tracing::span_id{} || now_->ran == mono_time{})
    return {};
  auto& end = now_->result;
  s.start_ns = shared_->trace.ns(now_->began);
  s.end_ns = shared_->trace.ns(now_->ran);
  s.with.emplace_back("troupe.kind", end.kind);
  s.with.emplace_back("troupe.try", std::int64_t{now_->tries});
  if (end.how == detail::turn_result::end::threw) {
    s.failed = true;
    s.error = end.error;
    s.with.emplace_back("error.type", "handler");
    s.moments.push_back(
        {s.end_ns,
         "exception",
         {{"exception.type", "handler"}, {"exception.message", end.error}}});
  }
  const auto id = s.id;
  shared_->trace.take(std::move(s));
  return id;
}

void chat_actor::trace_commit(const std::string& refused) {
  auto s = span_in_turn("commit");
  if (s.id == tracing::span_id{} || now_->done == mono_time{})
    return;
  // A campaign's turn, and one that is buried, have no handler before it.
  const bool ran = now_->ran != mono_time{} && !now_->commit.dead;
  s.start_ns = shared_->trace.ns(ran ? now_->ran : now_->begun);
  s.end_ns = shared_->trace.ns(now_->done);
  s.with.emplace_back("troupe.tries", std::int64_t{now_->commits});
  if (!refused.empty()) {
    s.failed = true;
    s.error = refused;
    s.with.emplace_back("error.type", refused);
  }
  shared_->trace.take(std::move(s));
}

/// Since it was accepted: in the store, on the road, behind others of its chat.
void chat_actor::trace_wait() {
  auto s = span_in_turn("wait");
  s.parent = tracer::root_of(s.trace);
  s.start_ns = shared_->trace.ns(now_->what.what.accepted_at);
  s.end_ns = shared_->trace.ns(now_->begun);
  shared_->trace.take(std::move(s));
}

tracing::span_id chat_actor::trace_turn(const char* outcome) {
  auto s = span_in_turn("turn");
  if (s.id == tracing::span_id{})
    return {};
  if (!now_->commit.dead)
    trace_handler();  // those that threw are told of already
  trace_commit({});
  s.id = std::exchange(s.parent, {});
  s.kind = tracing::span_kind::consumer;
  s.start_ns = shared_->trace.ns(now_->begun);
  s.end_ns = shared_->trace.ns(shared_->how.time->mono());
  s.with.emplace_back("messaging.system", "telegram");
  s.with.emplace_back("messaging.operation.type", "process");
  if (now_->known_as < not_an_update) {
    s.parent = tracer::root_of(s.trace);
    s.with.emplace_back("messaging.message.id", std::to_string(now_->known_as));
    trace_wait();
  }
  s.with.emplace_back("troupe.chat", to_string(key_));
  s.with.emplace_back("troupe.shard", std::int64_t{owned_->held.shard.value});
  s.with.emplace_back("troupe.kind", now_->result.kind);
  if (now_->what.fired)
    s.with.emplace_back("troupe.timer", now_->what.fired->name);
  s.with.emplace_back("troupe.outcome", outcome);
  s.with.emplace_back("troupe.waited_ms", now_->waited_ms);
  s.with.emplace_back("troupe.tries", std::int64_t{now_->tries});
  if (now_->commit.dead) {
    s.failed = true;
    s.error = *now_->commit.dead;
    s.with.emplace_back("error.type", "handler");
  }
  s.links = std::move(now_->links);
  const auto id = s.id;
  shared_->trace.take(std::move(s));
  return id;
}

/// What the turn told other chats is turned in traces of its own.
void chat_actor::link_to(const store::entry& told) {
  if (!shared_->trace.on())
    return;
  const auto event =
      event_number(turn_subject{told.key, 0, &told, nullptr, false});
  const auto trace = shared_->trace.trace_of(event);
  now_->links.push_back({trace, tracer::turn_of(trace, event, told.seq)});
}

}  // namespace troupe::actors
