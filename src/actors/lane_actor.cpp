#include "actors/lane_actor.hpp"

#include <algorithm>

#include "actors/spans.hpp"
#include "core/log.hpp"
#include "telegram/call.hpp"

namespace troupe::actors {

namespace {

using telegram::verdict;

}  // namespace

lane::options lane_options(const services& in, chat_key to) {
  const node_options& how = in.how;
  lane::options o;
  o.to = to;
  if (to.is_group()) {
    o.limit = in.group_per_minute;
    o.period = milliseconds{60'000};
    o.settle_each = o.limit != 0;
  } else {
    o.limit = in.chat_per_second;
    o.period = milliseconds{1'000};
  }
  o.margin = how.limits.margin;
  o.global = how.limits.global_per_second != 0;
  o.count_replies = how.limits.count_replies;
  o.retry_first = how.sending.retry_first;
  o.retry_max = how.sending.retry_max;
  return o;
}

lane_actor::lane_actor(caf::actor_config& config,
                       std::shared_ptr<services> shared,
                       std::shared_ptr<ownership> owned, chat_key to,
                       std::shared_ptr<slot_state> state,
                       std::vector<store::spending> spent)
    : actor_base{config},
      shared_{std::move(shared)},
      owned_{std::move(owned)},
      to_{to},
      state_{std::move(state)},
      machine_{lane_options(*shared_, to)} {
  shared_->lanes += 1;
  auto now = shared_->now();
  for (auto& s : spent)
    machine_.spend(now.mono - (now.wall - s.at), s.messages);
  // What was under way when an earlier owner died may have arrived up to the
  // moment the shard was ours (G7: the last window counts as spent).
  if (!to.is_group() && now.mono - owned_->since < milliseconds{1'000})
    machine_.spend(owned_->since, std::max(1u, limit_now()));
}

lane_actor::~lane_actor() {
  shared_->lanes -= 1;
  shared_->outbox -= std::int64_t(machine_.waiting());
  count_flying(-std::int64_t(machine_.in_flight()));
  count_told(-told_);
}

void lane_actor::count_flying(std::int64_t n) {
  shared_->flying += n;
  owned_->busy += n;
}

/// A drain waits for what is decided when they come.
void lane_actor::count_told(std::int64_t n) {
  told_ += n;
  shared_->deciding += n;
  owned_->busy += n;
}

caf::behavior lane_actor::make_behavior() {
  auto with = [this](auto event) {
    // Before the look at `stopping`: a drain sees this, or we see the drain.
    services::counted now_deciding{shared_->deciding};
    services::counted for_the_shard{owned_->busy};
    lane::actions todo;
    look_around();
    event(shared_->now(), todo);
    perform(todo);
  };
  return {
      [this, with](lane_call& m) {
        // Of an earlier owner: the first of them may have been under way when
        // it died, and have arrived (G7).
        if (to_.is_group() && !inherited_ && m.inherited) {
          inherited_ = true;
          machine_.inherit(owned_->since, m.what);
        }
        with([&](moment now, lane::actions& out) {
          machine_.push(std::move(m.what), now, out);
        });
      },
      [this, with](const lane_permit& m) {
        with([&](moment now, lane::actions& out) {
          machine_.permit(m.ticket, m.at, now, out, m.bulk);
        });
      },
      [this](lane_answer& m) { on_answer(m); },
      [this, with](const lane_marked& m) {
        with([&](moment now, lane::actions& out) {
          if (m.lost)
            machine_.failed(now, out);
          else
            machine_.marked(m.id, now, out);
        });
        count_told(-1);
      },
      [this, with](lane_fetched& m) {
        with([&](moment now, lane::actions& out) {
          if (m.answer)
            machine_.fetched(std::move(*m.answer), now, out);
          else
            machine_.failed(now, out);
        });
      },
      [this, with](lane_resolved& m) {
        with([&](moment now, lane::actions& out) {
          if (!m.answer) {
            machine_.failed(now, out);
            return;
          }
          std::int64_t id = 0;
          if (m.label.empty() && m.answer->front().version > 0)
            id = 1;
          for (auto& record : *m.answer)
            for (auto& l : record.labels)
              if (l.name == m.label)
                id = l.message_id;
          machine_.resolved(m.label, id, now, out);
        });
      },
      [this, with](const calls_forgotten& m) {
        with([&](moment now, lane::actions& out) {
          machine_.drop_from(m.from, now, out);
        });
      },
      // What came before it is counted, and what would come after it does not
      // come. The answer to a call under way has nobody to settle it.
      [this](lane_over) { quit(); },
      [this, with](tick_atom) {
        wake_set_ = {};
        with([&](moment now, lane::actions& out) { machine_.tick(now, out); });
      },
  };
}

void lane_actor::perform(lane::actions& todo) {
  // Published before the shard can see that nothing waits here any more: it
  // ends a lane that has nothing to remember.
  state_->clear_at = machine_.clear_at().time_since_epoch().count();
  state_->frozen_until = machine_.frozen_until().time_since_epoch().count();
  state_->doing = machine_.waits_for().data();
  for (auto& a : todo)
    std::visit([this](auto& x) { (*this)(x); }, a);
  look_ahead();
}

/// Before every event, so that a lane begins nothing at it that it should not.
unsigned lane_actor::limit_now() const {
  return to_.is_group() ? shared_->group_per_minute : shared_->chat_per_second;
}

void lane_actor::look_around() {
  machine_.configure(limit_now(), shared_->how.time->mono());
  if (shared_->stopping || owned_->ending)
    machine_.stop();
  machine_.freeze(mono_time{mono_time::duration{shared_->frozen_until}});
}

/// Asks for a tick when the machine wants one, unless an earlier or equal one
/// is on its way.
void lane_actor::look_ahead() {
  auto now = shared_->how.time->mono();
  auto at = machine_.wake();
  if (!at || (wake_set_ != mono_time{} && wake_set_ <= *at))
    return;
  wake_set_ = *at;
  auto wait = std::max<mono_time::duration>(*at - now, {});
  delayed_send(this, std::chrono::ceil<milliseconds>(wait), tick_atom::value);
}

void lane_actor::operator()(lane::ask& a) {
  caf::anon_send(
      shared_->global,
      permit_wanted{caf::actor_cast<caf::actor>(this), a.cost, a.bulk, owned_});
}

void lane_actor::operator()(lane::give_back& a) {
  caf::anon_send(shared_->global, permit_back{a.permit, a.at, a.arrived});
}

void lane_actor::operator()(lane::send& a) {
  const auto now = shared_->how.time->mono();
  attempt_mark mark{std::move(a.method), a.of, now};
  count_flying(1);
  if (!owned_->safe(now)) {
    shared_->count.held_back.add();
    send(this, lane_answer{a.id, a.from, a.labelled, std::move(mark),
                           http::failure{lapsed(), false}, true});
    return;
  }
  auto& senders = shared_->senders;
  auto& to = senders[stable_hash(to_) % senders.size()];
  caf::anon_send(to, send_call{caf::actor_cast<caf::actor>(this), a.id, a.from,
                               a.labelled, std::move(mark), std::move(a.body),
                               std::min(a.begin_by, owned_->safe_until())});
}

void lane_actor::operator()(lane::settle& a) {
  auto& s = a.what;
  auto tell = a.tell ? caf::actor_cast<caf::actor>(this) : caf::actor{};
  if (tell)
    count_told(1);
  if (s.outcome == store::call_outcome::attempting) {
    shared_->settling += 1;
    caf::anon_send(shared_->shard_for(s.from),
                   outcome_of{std::move(s), std::move(tell)});
    return;
  }
  auto& count = shared_->count;
  switch (s.outcome) {
    case store::call_outcome::sent:
      count.calls_sent.add();
      if (a.reply)
        count.reply_seconds.observe(
            double(shared_->since(a.accepted_at).count()) / 1000);
      break;
    case store::call_outcome::failed: count.calls_failed.add(); break;
    case store::call_outcome::unknown: count.calls_unknown.add(); break;
    case store::call_outcome::collapsed: count.calls_collapsed.add(); break;
    case store::call_outcome::attempting: break;
  }
  if (s.campaign != 0)
    count_campaign(s);
  const auto span = trace_call(*shared_, to_, a);
  if (s.dead && !s.dead_body) {
    log::warn("campaign_call_refused",
              {{"chat", to_string(to_)},
               {"campaign", std::int64_t(s.campaign)},
               {"error", *s.dead},
               {"trace", trace_text(*shared_, a.of.event)},
               {"span", span_text(span)}});
    s.dead.reset();
  } else if (s.dead) {
    count.dead_letters.add();
    log::error("dead_call", {{"chat", to_string(to_)},
                             {"call", s.id.value},
                             {"error", *s.dead},
                             {"trace", trace_text(*shared_, a.of.event)},
                             {"span", span_text(span)}});
  }
  state_->done += 1;
  state_->waiting -= 1;
  shared_->settling += 1;
  shared_->outbox -= 1;
  caf::anon_send(shared_->shard_for(s.from),
                 outcome_of{std::move(s), std::move(tell)});
}

/// As `store::campaign_tally` has them.
void lane_actor::count_campaign(const store::settlement& s) {
  using enum store::call_outcome;
  auto& count = shared_->count;
  switch (s.outcome) {
    case sent:
    case collapsed: count.campaign_sent.add(); break;
    case failed:
      (s.audience ? count.campaign_blocked : count.campaign_failed).add();
      break;
    case unknown: count.campaign_unknown.add(); break;
    case attempting: break;
  }
}

void lane_actor::operator()(lane::fetch& a) {
  auto shards = static_cast<std::uint16_t>(shared_->shards.size());
  auto me = caf::actor_cast<caf::actor>(this);
  auto found = std::make_shared<std::vector<store::call>>();
  auto left = std::make_shared<std::atomic<std::size_t>>(a.which.size());
  auto failed = std::make_shared<std::atomic<bool>>(false);
  for (auto& [from, ids] : a.which) {
    shared_->store.calls(shard_of(from, shards), ids, [=](auto answer) {
      // One callback at a time per store: no lock.
      if (answer)
        std::move(answer->begin(), answer->end(), std::back_inserter(*found));
      else
        *failed = true;
      if (--*left > 0)
        return;
      if (*failed)
        caf::anon_send(me, lane_fetched{error{errc::unavailable, "outbox"}});
      else
        caf::anon_send(me, lane_fetched{std::move(*found)});
    });
  }
}

void lane_actor::operator()(lane::resolve& a) {
  shared_->store.load({a.owner}, [me = caf::actor_cast<caf::actor>(this),
                                  label = a.label](auto answer) {
    caf::anon_send(me, lane_resolved{label, std::move(answer)});
  });
}

void lane_actor::operator()(lane::flood& a) {
  log::warn("too_many_requests",
            {{"chat", to_string(to_)},
             {"retry_after_ms", std::int64_t{a.retry_after.count()}}});
  if (shared_->global)
    caf::anon_send(shared_->global, flood_seen{to_, a.retry_after});
}

void lane_actor::operator()(lane::forget&) {
  state_->waiting -= 1;
  shared_->outbox -= 1;
}

void lane_actor::operator()(lane::report& a) {
  log::warn(a.event, {{"chat", to_string(to_)}, {"text", a.text}});
}

void lane_actor::on_answer(lane_answer& m) {
  look_around();
  auto now = shared_->now();
  attempt_end end;
  if (m.answer) {
    auto& r = *m.answer;
    end.what =
        telegram::read_answer(r.status, r.body, r.headers.find("Retry-After"));
    if (m.labelled &&
        std::get<telegram::answer>(end.what).what == verdict::sent)
      end.result = telegram::result_of(r.body);
    shared_->count.call_seconds.observe(
        std::chrono::duration<double>(now.mono - m.mark.departed).count());
  } else {
    end.what = m.answer.error();
  }
  if (!m.held_back)
    count_answer(end, m.mark, trace_attempt(*shared_, to_, m, end, now.mono));
  lane::actions todo;
  machine_.answered(m.id, m.from, std::move(end), now, todo);
  perform(todo);
  // Last: until its settlement is counted, a drain must still see the call.
  count_flying(-1);
}

void lane_actor::count_answer(const attempt_end& end, const attempt_mark& mark,
                              tracing::span_id span) {
  auto& count = shared_->count;
  if (auto failure = std::get_if<http::failure>(&end.what)) {
    count.network_failures.add();
    if (failure->maybe_sent)
      count.unknown_outcomes.add();
    log::warn("call_unanswered",
              {{"chat", to_string(to_)},
               {"method", mark.method},
               {"maybe_sent", failure->maybe_sent},
               {"error", to_string(failure->what)},
               {"trace", trace_text(*shared_, mark.of.event)},
               {"span", span_text(span)}});
    return;
  }
  auto& answer = std::get<telegram::answer>(end.what);
  switch (answer.what) {
    case verdict::retry_after: count.answers_429.add(); break;
    case verdict::try_again:
      count.answers_5xx.add();
      count.unknown_outcomes.add();
      break;
    case verdict::chat_gone: count.answers_gone.add(); break;
    case verdict::refused:
    case verdict::conflict:
    case verdict::bad_token:
      count.answers_refused.add();
      log::warn("call_refused", {{"chat", to_string(to_)},
                                 {"method", mark.method},
                                 {"code", answer.code},
                                 {"description", answer.description},
                                 {"trace", trace_text(*shared_, mark.of.event)},
                                 {"span", span_text(span)}});
      break;
    default: break;
  }
}

}  // namespace troupe::actors
