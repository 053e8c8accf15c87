#include "actors/chat_actor.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "actors/chat_attempt.hpp"
#include "actors/forget_desk.hpp"
#include "actors/hints.hpp"
#include "actors/spans.hpp"
#include "actors/turn_names.hpp"
#include "core/log.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

double seconds(mono_time from, mono_time to) {
  return std::chrono::duration<double>(to - from).count();
}

/// For the log line: milliseconds, to the microsecond.
double readable_ms(mono_time from, mono_time to) {
  return std::round(seconds(from, to) * 1e6) / 1e3;
}

const char* outcome_of_turn(const store::turn& commit,
                            const detail::turn_result& result, bool committed) {
  using end = detail::turn_result::end;
  if (!committed)
    return "dropped";
  if (commit.dead)
    return "dead_letter";
  switch (result.how) {
    case end::done: return "done";
    case end::unhandled: return "unhandled";
    case end::stale: return "stale";
    case end::repeated: return "repeated";
    case end::threw: break;
  }
  return "threw";
}

}  // namespace

/// Hands a turn to the store; the answer comes to `chat` as `commit_ended`.
/// **Threads**: whoever has the attempt.
void chat_actor::send_commit(services& shared, const ownership& owned,
                             caf::actor chat, attempt& job) {
  job.commits += 1;
  if (!owned.safe(shared.how.time->mono())) {
    // The store would know; but another may own the shard by now, and what it
    // reads must not change under it.
    shared.count.held_back.add();
    caf::anon_send(chat, chat_event{commit_ended{job.number, lapsed()}});
    return;
  }
  shared.store.commit(
      owned.held, {job.commit},
      [chat = std::move(chat), number = job.number](auto answer) {
        caf::anon_send(chat,
                       chat_event{commit_ended{number, std::move(answer)}});
      });
}

chat_actor::chat_actor(caf::actor_config& config,
                       std::shared_ptr<services> shared, caf::actor shard,
                       std::shared_ptr<ownership> owned, chat_key key,
                       std::shared_ptr<slot_state> state)
    : actor_base{config},
      shared_{std::move(shared)},
      shard_{std::move(shard)},
      owned_{std::move(owned)},
      key_{key},
      state_{std::move(state)} {
  shared_->chats += 1;
}

chat_actor::~chat_actor() {
  shared_->chats -= 1;
  // What a lost lease cuts short is somebody else's to turn.
  count_turning(false);
  note_campaign(false);
  if (now_ && !now_->what.fired)
    shared_->pending -= 1;
  for (auto& x : queue_)
    if (!x.fired)
      (x.what.body ? shared_->pending : shared_->parked) -= 1;
}

caf::behavior chat_actor::make_behavior() {
  return {[this](chat_event& m) {
    std::visit([this](auto& what) { on(what); }, m.what);
  }};
}

void chat_actor::on(chat_work& m) {
  push({std::move(m.what), nullptr});
}

void chat_actor::on(timer_work& m) {
  item x;
  x.what.key = key_;
  x.fired = std::make_unique<store::timer>(std::move(m.what));
  push(std::move(x));
}

/// What came before it is counted now, and what would come after it does not
/// come. A turn under way ends in nothing: its commit is refused.
void chat_actor::on(chat_over&) {
  quit();
}

void chat_actor::push(item x) {
  queue_.push_back(std::move(x));
  if (step_ == step::idle)
    next();
}

void chat_actor::next() {
  if (now_)
    return;
  if (queue_.empty() || !may_begin()) {
    count_turning(false);
    return;
  }
  if (!have_record_) {
    load_record();
    return;
  }
  auto& head = queue_.front();
  if (!head.fired && !head.what.body) {
    load_bodies();
    return;
  }
  now_ = std::make_shared<attempt>();
  now_->what = std::move(head);
  queue_.pop_front();
  now_->waited_ms = now_->what.fired
                        ? shared_->since(now_->what.fired->due).count()
                        : shared_->since(now_->what.what.accepted_at).count();
  shared_->count.turn_wait_seconds.observe(
      double(std::max<std::int64_t>(now_->waited_ms, 0)) / 1000);
  now_->known_as = event_number(now_->subject(key_, version_, anew_));
  if (shared_->trace.on())
    now_->begun = shared_->how.time->mono();
  begin_turn();
}

// -- turning ------------------------------------------------------------------

/// After a pause: goes on with what it was for.
void chat_actor::on(turn_again&) {
  if (step_ != step::pausing || !may_begin())
    return;
  step_ = step::idle;
  if (!now_) {
    next();
    return;
  }
  count_turning(true);
  if (now_->commits > 0 && now_->outlived_keys(shared_->how.time->mono()))
    now_->again = true;
  if (now_->again)
    run_again();
  else if (now_->reserving)
    reserve_again();
  else if (now_->commits > 0)
    commit();
  else
    begin_turn();
}

/// True unless the node stops, or the shard goes to another. Counted before the
/// look: a drain sees the turn, or the turn sees the drain.
bool chat_actor::may_begin() {
  count_turning(true);
  if (shared_->stopping || owned_->ending)
    count_turning(false);
  return turning_;
}

/// A turn that waits for its next try holds up no drain.
void chat_actor::count_turning(bool yes) {
  if (yes != turning_) {
    shared_->turning += yes ? 1 : -1;
    owned_->busy += yes ? 1 : -1;
  }
  turning_ = yes;
}

void chat_actor::begin_turn() {
  count_turning(true);
  now_->number = ++attempts_made_;
  now_->tries += 1;
  if (!have_record_) {
    // A retry after a commit that came to nothing: start from the record.
    queue_.push_front(std::move(now_->what));
    now_ = nullptr;
    count_turning(false);
    next();
    return;
  }
  if (!now_->what.fired && asks_to_forget(now_->what.what)) {
    begin_forget();
    return;
  }
  step_ = step::turning;
  state_->doing = "turning";
  if (campaign_) {
    begin_campaign();
    return;
  }
  if (!now_->what.fired && now_->what.what.type == store::entry_kind::call) {
    now_->result.kind = "call";
    auto made = commit_of_call(now_->subject(key_, version_, anew_), *owned_,
                               shared_->shared_shards());
    if (!made) {
      bury(to_string(made.error()));
      return;
    }
    now_->commit = std::move(*made);
    commit();
    return;
  }
  if (bad_record_) {
    now_->result.how = detail::turn_result::end::threw;
    now_->result.error = *bad_record_;
    on_turn_end();
    return;
  }
  if (!ask_lock())
    run_turn();
}

void chat_actor::run_turn() {
  shared_->pool->submit(
      to_string(key_),
      [shared = shared_, me = caf::actor_cast<caf::actor>(this), job = now_,
       live = live_, owned = owned_, key = key_, version = version_,
       anew = anew_, number = now_->number, audience_ms = audience_ms_] {
        auto subject = job->subject(key, version, anew);
        job->began = shared->how.time->mono();
        auto wall = shared->how.time->wall();
        job->identity = identity_of(subject);
        job->result = live->run(
            job->event(subject),
            {to_ms(wall), seed_of(subject), shared->username(), job->taken,
             job->unchanged, shared->store.takes_sql(), job->identity});
        job->ended = wall;
        job->ran = shared->how.time->mono();
        if (job->result.how == detail::turn_result::end::threw ||
            shared->closed) {
          caf::anon_send(me, chat_event{turn_ended{number}});
          return;
        }
        if (!job->result.wanted.once.empty() || job->outlived_keys(job->ran)) {
          reserve_keys(*shared, me, *job);
          return;
        }
        job->commit = commit_of(subject, job->result, *owned, wall,
                                shared->shared_shards());
        job->tell_audience(key, to_ms(wall), audience_ms);
        // Straight from here: the actor has nothing to add.
        send_commit(*shared, *owned, me, *job);
      });
}

void chat_actor::on(turn_ended& m) {
  if (step_ == step::turning && now_ && now_->number == m.attempt)
    on_turn_end();
}

void chat_actor::on_turn_end() {
  auto& end = now_->result;
  if (end.how != detail::turn_result::end::threw)
    return;  // the store is closed: the turn is left to the next start
  shared_->count.turns_threw.add();
  log::warn("turn_threw", {{"chat", to_string(key_)},
                           {"update", now_->what.what.id.value},
                           {"try", now_->tries},
                           {"error", end.error},
                           {"trace", trace_text(*shared_, now_->known_as)},
                           {"span", span_text(trace_handler())}});
  if (now_->tries >= shared_->how.turns.attempts) {
    bury(end.error);
    return;
  }
  retry_later(now_->tries, shared_->how.turns.backoff, 60s);
}

void chat_actor::bury(const std::string& why) {
  now_->commit = bare_commit(now_->subject(key_, version_, anew_));
  now_->commit.dead = why;
  commit();
}

// -- committing ---------------------------------------------------------------

void chat_actor::commit() {
  step_ = step::committing;
  state_->doing = "committing";
  send_commit(*shared_, *owned_, caf::actor_cast<caf::actor>(this), *now_);
}

void chat_actor::on(commit_ended& m) {
  bool expected = step_ == step::committing || step_ == step::turning;
  if (!expected || !now_ || now_->number != m.attempt)
    return;
  now_->done = shared_->how.time->mono();
  if (!m.answer) {
    if (m.answer.error().code == errc::fenced) {
      shared_->count.fenced.add();
      trace_handler();
      trace_commit("fenced");
      caf::anon_send(shard_, lost_lease{owned_->held.term});
      return;  // the shard ends this actor
    }
    shared_->count.store_errors.add();
    if (now_->commits == 1 || now_->commits % 16 == 0)
      log::warn("commit_failed", {{"chat", to_string(key_)},
                                  {"error", to_string(m.answer.error())},
                                  {"try", now_->commits}});
    retry_later(now_->commits, 50ms, 2s);
    return;
  }
  auto& receipt = m.answer->front();
  if (receipt.outcome == store::turn_receipt::status::stale) {
    have_record_ = false;
    step_ = step::checking;
    load_record();
    return;
  }
  if (receipt.outcome == store::turn_receipt::status::refused) {
    on_sql_refused(receipt);
    return;
  }
  version_ += 1;
  anew_ = false;
  applied(receipt);
}

/// The turn is durable: its effects may leave.
void chat_actor::applied(const store::turn_receipt& receipt) {
  auto& turn = now_->commit;
  if (campaign_)
    campaign_applied();
  for (auto& a : turn.audience)
    if (a.seen && a.key == key_)
      audience_ms_ = a.status == store::audience_status::active
                         ? to_ms(shared_->how.time->wall())
                         : 0;
  if (receipt.tags_over > 0)
    log::warn("tag_left_out", {{"chat", to_string(key_)},
                               {"tags", receipt.tags_over},
                               {"effect", "a chat keeps at most 16 tags"}});
  if (!turn.calls.empty()) {
    shared_->outbox += std::int64_t(turn.calls.size());
    std::vector<std::pair<const caf::actor*, committed_calls>> by_sender;
    for (auto& c : turn.calls) {
      auto to = &shared_->sender_for(key_, c.to);
      auto it = std::find_if(by_sender.begin(), by_sender.end(),
                             [&](auto& x) { return x.first == to; });
      if (it == by_sender.end())
        it = by_sender.insert(it, {to, {}});
      it->second.calls.push_back(std::move(c));
    }
    for (auto& [to, batch] : by_sender)
      caf::anon_send(*to, std::move(batch));
  }
  for (auto& e : receipt.appended) {
    link_to(e);
    hint(*shared_, shared_->shard_id_of(e.key), {e});
  }
  for (auto& t : turn.set)
    caf::anon_send(shared_->timers, timer_armed{t.due});
  finish(true);
}

void chat_actor::finish(bool committed) {
  using end = detail::turn_result::end;
  const auto* outcome = outcome_of_turn(now_->commit, now_->result, committed);
  auto& count = shared_->count;
  const bool waits = now_->lock && now_->lock->waits;
  release_locks(committed);
  const auto span = waits ? tracing::span_id{} : trace_turn(outcome);
  if (committed && !waits) {
    if (!now_->commit.dead)
      give_back_unused();
    if (now_->commit.dead) {
      count.dead_letters.add();
      log::error("dead_letter",
                 {{"chat", to_string(key_)},
                  {"update", now_->what.what.id.value},
                  {"error", *now_->commit.dead},
                  {"trace", trace_text(*shared_, now_->known_as)},
                  {"span", span_text(span)}});
    } else {
      switch (now_->result.how) {
        case end::done: count.turns_done.add(); break;
        case end::unhandled: count.turns_unhandled.add(); break;
        case end::stale: count.turns_stale.add(); break;
        case end::repeated: count.turns_repeated.add(); break;
        case end::threw: break;
      }
    }
    if (now_->ran != mono_time{}) {
      count.turn_run_seconds.observe(seconds(now_->began, now_->ran));
      count.commit_seconds.observe(seconds(now_->ran, now_->done));
    }
  }
  if (log::enabled(log::level::info) && !waits)
    log_turn(outcome, span);
  if (now_->what.fired)
    caf::anon_send(shared_->timers, timer_done{std::move(*now_->what.fired)});
  else
    shared_->pending -= 1;
  now_ = nullptr;
  step_ = step::idle;
  state_->doing = "idle";
  state_->done += 1;
  state_->touch(shared_->how.time->mono());
  state_->waiting -= 1;
  owned_->to_turn -= 1;
  count_turning(false);
  next();
}

void chat_actor::log_turn(const char* outcome, tracing::span_id span) const {
  auto& x = *now_;
  log::info("turn", {{"update", x.what.what.id.value},
                     {"chat", to_string(key_)},
                     {"kind", x.result.kind},
                     {"waited_ms", x.waited_ms},
                     {"turn_ms", readable_ms(x.began, x.ran)},
                     {"commit_ms",
                      x.ran == mono_time{} ? 0 : readable_ms(x.ran, x.done)},
                     {"calls", std::uint64_t{x.result.wanted.calls.size()}},
                     {"tries", x.tries},
                     {"outcome", outcome},
                     {"error_class", x.commit.dead ? "handler" : ""},
                     {"trace", trace_text(*shared_, x.known_as)},
                     {"span", span_text(span)}});
}

void chat_actor::retry_later(unsigned attempts, milliseconds first,
                             milliseconds most) {
  thread_local std::minstd_rand random{std::random_device{}()};
  auto shift = std::min(attempts == 0 ? 0u : attempts - 1, 12u);
  auto wait = std::min<milliseconds>(first * (std::int64_t{1} << shift), most);
  // +-25 %, so that chats that failed together don't come back together.
  auto jitter = std::uniform_int_distribution<std::int64_t>{
      -wait.count() / 4, wait.count() / 4}(random);
  step_ = step::pausing;
  count_turning(false);
  state_->doing = "retrying";
  delayed_send(this, wait + milliseconds{jitter}, chat_event{turn_again{}});
}

}  // namespace troupe::actors
