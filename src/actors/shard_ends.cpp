#include <algorithm>
#include <utility>

#include "actors/shard_actor.hpp"
#include "core/log.hpp"

// How things end at a shard: calls, by being settled, and its ownership.
namespace troupe::actors {

namespace {

constexpr milliseconds settle_pause{100};
constexpr milliseconds look_every{5};

}  // namespace

// -- outcomes -----------------------------------------------------------------

void shard_actor::on_outcome(outcome_of& m) {
  outcomes_.push_back(std::move(m));
  if (owned_)
    flush_outcomes();
  else
    drop_outcomes();
}

void shard_actor::flush_outcomes() {
  if (settling_ || outcomes_.empty() || !owned_)
    return;
  if (!owned_->safe(shared_->how.time->mono())) {
    delayed_send(this, settle_pause, retry_atom::value);
    return;
  }
  settling_ = std::make_shared<std::vector<outcome_of>>(std::move(outcomes_));
  outcomes_.clear();
  std::vector<store::settlement> batch;
  batch.reserve(settling_->size());
  for (auto& o : *settling_)
    batch.push_back(o.what);
  shared_->store.settle(
      owned_->held, std::move(batch),
      [me = caf::actor_cast<caf::actor>(this), work = settling_](auto answer) {
        caf::anon_send(me, settled{work, std::move(answer)});
      });
}

void shard_actor::on_settled(settled& m) {
  if (m.batch != settling_)
    return;
  settling_ = nullptr;
  auto& batch = *m.batch;
  if (!m.answer) {
    // Put back in front, in order; a repeat of what was done is skipped.
    outcomes_.insert(outcomes_.begin(), std::make_move_iterator(batch.begin()),
                     std::make_move_iterator(batch.end()));
    if (m.answer.error().code == errc::fenced) {
      shared_->count.fenced.add();
      lose(owned_->held.term);
      return;
    }
    shared_->count.store_errors.add();
    if (settle_failures_++ % 16 == 0)
      log::warn("settle_failed", {{"shard", unsigned{id_.value}},
                                  {"error", to_string(m.answer.error())}});
    delayed_send(this, settle_pause, retry_atom::value);
    return;
  }
  settle_failures_ = 0;
  shared_->settling -= std::int64_t(batch.size());
  std::vector<store::entry> answers;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].tell)
      caf::anon_send(batch[i].tell, lane_marked{batch[i].what.id});
    if (auto& e = (*m.answer)[i])
      answers.push_back(std::move(*e));
  }
  if (!answers.empty()) {
    shared_->hinted += std::int64_t(answers.size());
    appended found{std::move(answers)};
    on_appended(found);
  }
  flush_outcomes();
}

/// They are the next owner's to find out. A lane of another shard that waits
/// for one goes on; what it could not mark, it does not send.
void shard_actor::drop_outcomes() {
  auto drop = [this](std::vector<outcome_of>& all) {
    shared_->settling -= std::int64_t(all.size());
    for (auto& o : all) {
      if (!o.tell)
        continue;
      const bool mark = o.what.outcome == store::call_outcome::attempting;
      caf::anon_send(o.tell, lane_marked{o.what.id, mark});
    }
    all.clear();
  };
  drop(outcomes_);
  if (settling_)
    drop(*settling_);
  settling_ = nullptr;
}

// -- ownership ----------------------------------------------------------------

/// Another epoch owns the shard: nothing of ours may go on.
void shard_actor::lose(epoch term) {
  if (!owned_ || owned_->held.term != term)
    return;
  log::error("lease_lost",
             {{"shard", unsigned{id_.value}}, {"epoch", unsigned{term.value}}});
  shared_->count.leases_lost.add();
  let_go();
  caf::anon_send(shared_->leases, shard_free{id_, term, true});
}

void shard_actor::begin_hand_over(epoch term) {
  if (!owned_ || owned_->held.term != term || step_ == step::ending)
    return;
  step_ = step::ending;
  shared_->follows[id_.value] = false;
  owned_->ending = true;
  ending_since_ = shared_->how.time->mono();
  was_quiet_ = false;
  send(this, quiet_atom::value);
}

/// Looked at, not told: see `node::drain`. What ended has sent us its outcome
/// before it was counted out, so a second look, behind all that came before the
/// first, sees it.
void shard_actor::look_whether_quiet() {
  if (step_ != step::ending)
    return;
  bool quiet = owned_->busy == 0;
  bool over = quiet && was_quiet_ && outcomes_.empty() && !settling_;
  auto waited = shared_->how.time->mono() - ending_since_;
  bool late = waited > shared_->how.cluster.hand_over;
  if (!over && !late) {
    if (quiet && !was_quiet_)
      send(this, quiet_atom::value);
    else
      delayed_send(this, look_every, quiet_atom::value);
    was_quiet_ = quiet;
    return;
  }
  if (late)
    log::warn("handed_over_late",
              {{"shard", unsigned{id_.value}},
               {"effect", "a turn is run again, or a call sent again"}});
  shared_->count.handovers.add();
  auto term = owned_->held.term;
  log::debug(
      "shard_given",
      {{"shard", unsigned{id_.value}},
       {"epoch", unsigned{term.value}},
       {"ended_ms", std::chrono::duration_cast<milliseconds>(waited).count()}});
  let_go();
  caf::anon_send(shared_->leases, shard_free{id_, term, false});
}

/// As if we had never owned the shard: everything is in the store.
void shard_actor::let_go() {
  owned_->ending = true;
  shared_->follows[id_.value] = false;
  // Not killed: what is on its way to them must be counted out again.
  for (auto& [key, s] : chats_)
    caf::anon_send(s.who, chat_event{chat_over{}});
  for (auto& [key, s] : lanes_)
    caf::anon_send(s.who, lane_over{});
  chats_.clear();
  lanes_.clear();
  used_.clear();
  spent_.clear();
  drop_outcomes();
  settle_failures_ = 0;
  order_ = {};
  heal_asked_ = reading_ = behind_ = false;
  count_kept();
  caf::anon_send(shared_->timers, timers_dropped{id_});
  owned_ = nullptr;
  step_ = step::unowned;
}

void shard_actor::end_children() {
  for (auto all : {&chats_, &lanes_}) {
    for (auto& [key, s] : *all)
      send_exit(s.who, caf::exit_reason::kill);
    all->clear();
  }
  used_.clear();
}

}  // namespace troupe::actors
