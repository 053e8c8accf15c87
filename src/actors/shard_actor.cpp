#include "actors/shard_actor.hpp"

#include <algorithm>
#include <utility>

#include "actors/chat_actor.hpp"
#include "actors/lane_actor.hpp"
#include "core/log.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

// Calls or entries read at once.
constexpr std::size_t read_page = 512;
// A hint that is missing may only be late; DESIGN section 8.
constexpr milliseconds gap_patience{20};
constexpr milliseconds store_pause{100};
constexpr milliseconds passivate_every{1'000};
constexpr std::size_t busiest_reported = 5;
constexpr std::size_t busiest_looked_at = 256;

}  // namespace

shard_actor::shard_actor(caf::actor_config& config,
                         std::shared_ptr<services> shared, shard_id id)
    : actor_base{config}, shared_{std::move(shared)}, id_{id} {
  set_exit_handler([this](const caf::exit_msg& m) {
    end_children();
    quit(m.reason);
  });
}

caf::behavior shard_actor::make_behavior() {
  delayed_send(this, passivate_every, tick_atom::value);
  return {
      [this](appended& m) { on_appended(m); },
      [this](committed_calls& m) {
        for (auto& c : m.calls)
          dispatch_call(std::move(c));
      },
      [this](outcome_of& m) { on_outcome(m); },
      [this](settled& m) { on_settled(m); },
      [this](fired_timers& m) {
        for (auto& t : m.timers)
          dispatch_timer(std::move(t));
      },
      [this](journal_page& m) { on_journal(m); },
      [this](outbox_page& m) { on_outbox(m); },
      [this](start_shard& m) { start(m); },
      [this](heal_atom) {
        if (step_ == step::outbox) {
          ask_outbox();
        } else if (step_ == step::journal) {
          ask_journal(journal_read_, false);
        } else if (heal_asked_) {
          if (order_.gap())
            ask_journal(order_.last(), true);
          else
            heal_asked_ = false;
        }
      },
      [this](retry_atom) { flush_outcomes(); },
      [this](const lost_lease& m) { lose(m.term); },
      [this](const journal_ends& m) {
        if (!owned_ || owned_->held.term != m.term)
          return;
        order_.ends_at(m.tail);
        look_for_gap();
      },
      [this](claimed& m) {
        if (m.answer && !m.answer->empty()) {
          start_shard again;
          again.owned = std::make_shared<ownership>(m.answer->front());
          start(again);
          return;
        }
        delayed_send(this, store_pause, go_atom::value);
      },
      [this](go_atom) {
        if (step_ != step::waiting || shared_->stopping)
          return;
        shared_->store.claim(
            {id_}, shared_->how.name, lease_ttl,
            [me = caf::actor_cast<caf::actor>(this)](auto answer) {
              caf::anon_send(me, claimed{std::move(answer)});
            });
      },
      [this](tick_atom) {
        passivate();
        delayed_send(this, passivate_every, tick_atom::value);
      },
      [this](const report_shard& m) { report(m); },
      [this](const report_chat& m) { report_one(m); },
  };
}

// -- starting: outbox first, then the journal ---------------------------------

void shard_actor::start(start_shard& m) {
  owned_ = std::move(m.owned);
  caf::anon_send(shared_->leases, lease_taken{owned_->held});
  order_ = {};
  count_kept();
  outbox_read_ = {};
  journal_read_ = {};
  heal_asked_ = false;
  for (auto& s : m.spent)
    spent_[s.to].push_back(s);
  step_ = step::outbox;
  ask_outbox();
}

void shard_actor::ask_outbox() {
  shared_->store.outbox(id_, outbox_read_, read_page,
                        [me = caf::actor_cast<caf::actor>(this)](auto answer) {
                          caf::anon_send(me, outbox_page{std::move(answer)});
                        });
}

void shard_actor::on_outbox(outbox_page& m) {
  if (step_ != step::outbox)
    return;
  if (!m.page) {
    shared_->count.store_errors.add();
    delayed_send(this, store_pause, heal_atom::value);
    return;
  }
  auto size = m.page->size();
  shared_->outbox += std::int64_t(size);
  for (auto& c : *m.page) {
    outbox_read_ = c.id;
    auto& shard = shared_->shard_for(c.to);
    if (shard == this)
      dispatch_call(std::move(c));
    else
      caf::anon_send(shard, committed_calls{{std::move(c)}});
  }
  if (size == read_page) {
    ask_outbox();
    return;
  }
  step_ = step::journal;
  ask_journal({}, false);
}

void shard_actor::ask_journal(seq_no after, bool healing) {
  shared_->store.backlog(
      id_, after, read_page,
      [me = caf::actor_cast<caf::actor>(this), after, healing](auto answer) {
        caf::anon_send(me, journal_page{after, healing, std::move(answer)});
      });
}

void shard_actor::on_journal(journal_page& m) {
  bool fits = m.healing ? step_ == step::following : step_ == step::journal;
  if (!fits)
    return;
  if (!m.page) {
    shared_->count.store_errors.add();
    delayed_send(this, store_pause, heal_atom::value);
    return;
  }
  auto size = m.page->size();
  if (m.healing) {
    shared_->count.gaps_healed.add();
    dispatch(order_.heal(std::move(*m.page), size == read_page));
    count_kept();
    heal_asked_ = false;
    look_for_gap();
    return;
  }
  if (size > 0)
    journal_read_ = m.page->back().seq;
  dispatch(std::move(*m.page));
  if (size == read_page) {
    // A long backlog is taken in as fast as it is turned, not faster.
    if (shared_->pending > std::int64_t(shared_->how.max_pending))
      delayed_send(this, store_pause, heal_atom::value);
    else
      ask_journal(journal_read_, false);
    return;
  }
  step_ = step::following;
  order_.start(std::max(journal_read_, owned_->held.tail));
  dispatch(order_.offer({}));
  count_kept();
  for (auto& t : std::exchange(early_, {}))
    dispatch_timer(std::move(t));
  look_for_gap();
}

// -- following ----------------------------------------------------------------

void shard_actor::on_appended(appended& m) {
  const auto came = std::int64_t(m.entries.size());
  take_in(std::move(m.entries));
  shared_->hinted -= came;
}

void shard_actor::take_in(std::vector<store::entry> appended) {
  dispatch(order_.offer(std::move(appended)));
  count_kept();
  look_for_gap();
}

/// What waits for a gap to be healed is still on its way: a drain waits for it.
void shard_actor::count_kept() {
  const auto now = std::int64_t(order_.kept());
  shared_->hinted += now - kept_;
  kept_ = now;
}

void shard_actor::look_for_gap() {
  if (step_ != step::following || heal_asked_ || !order_.gap())
    return;
  heal_asked_ = true;
  delayed_send(this, gap_patience, heal_atom::value);
}

void shard_actor::dispatch(std::vector<store::entry> entries) {
  for (auto& e : entries) {
    auto& to = chat_slot(e.key);
    if (to.state->waiting >= chat_actor::loaded) {
      e.body = nullptr;
      shared_->parked += 1;
    } else {
      shared_->pending += 1;
    }
    to.state->waiting += 1;
    owned_->to_turn += 1;
    caf::anon_send(to.who, chat_event{chat_work{std::move(e)}});
  }
}

void shard_actor::dispatch_call(store::call what) {
  auto& to = lane_slot(what.to);
  to.state->waiting += 1;
  caf::anon_send(to.who, lane_call{std::move(what)});
}

void shard_actor::dispatch_timer(store::timer what) {
  if (step_ != step::following) {
    early_.push_back(std::move(what));
    return;
  }
  auto& to = chat_slot(what.key);
  to.state->waiting += 1;
  owned_->to_turn += 1;
  caf::anon_send(to.who, chat_event{timer_work{std::move(what)}});
}

shard_actor::slot& shard_actor::chat_slot(const chat_key& key) {
  auto& x = *chats_.try_emplace(key).first;
  auto& s = x.second;
  used_.use(x);
  if (!s.who) {
    s.state = std::make_shared<slot_state>();
    s.who = spawn<chat_actor, caf::lazy_init>(
        shared_, caf::actor_cast<caf::actor>(this), owned_, key, s.state);
  }
  s.state->touch(shared_->how.time->mono());
  return s;
}

shard_actor::slot& shard_actor::lane_slot(const chat_key& key) {
  auto& s = lanes_[key];
  if (!s.who) {
    s.state = std::make_shared<slot_state>();
    std::vector<store::spending> spent;
    if (auto it = spent_.find(key); it != spent_.end()) {
      spent = std::move(it->second);
      spent_.erase(it);
    }
    s.who = spawn<lane_actor, caf::lazy_init>(shared_, key, s.state,
                                              std::move(spent));
  }
  s.state->touch(shared_->how.time->mono());
  return s;
}

// -- outcomes -----------------------------------------------------------------

void shard_actor::on_outcome(outcome_of& m) {
  outcomes_.push_back(std::move(m));
  flush_outcomes();
}

void shard_actor::flush_outcomes() {
  if (settling_ || outcomes_.empty() || !owned_)
    return;
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
    delayed_send(this, store_pause, retry_atom::value);
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
  if (!answers.empty())
    take_in(std::move(answers));
  flush_outcomes();
}

// -- ownership ----------------------------------------------------------------

/// Another epoch owns the shard: nothing of ours may go on.
void shard_actor::lose(epoch term) {
  if (!owned_ || owned_->held.term != term)
    return;
  log::error("lease_lost",
             {{"shard", unsigned{id_.value}}, {"epoch", unsigned{term.value}}});
  end_children();
  order_ = {};
  count_kept();
  shared_->settling -= std::int64_t(outcomes_.size());
  outcomes_.clear();
  if (settling_)
    shared_->settling -= std::int64_t(settling_->size());
  settling_ = nullptr;
  for (auto& t : std::exchange(early_, {}))
    caf::anon_send(shared_->timers, timer_done{std::move(t)});
  owned_ = nullptr;
  step_ = step::waiting;
  send(this, go_atom::value);
}

void shard_actor::end_children() {
  for (auto all : {&chats_, &lanes_}) {
    for (auto& [key, s] : *all)
      send_exit(s.who, caf::exit_reason::kill);
    all->clear();
  }
  used_.clear();
}

void shard_actor::passivate() {
  auto now = shared_->how.time->mono();
  auto ns = now.time_since_epoch().count();
  passivate_chats(now);
  // Lanes are few: one ends within seconds of its last call, or minutes.
  std::erase_if(lanes_, [&](auto& x) {
    auto& s = *x.second.state;
    if (s.waiting != 0 || ns < s.clear_at)
      return false;
    send_exit(x.second.who, caf::exit_reason::user_shutdown);
    return true;
  });
  if (!spent_.empty() && now - shared_->started > store::spending_window)
    spent_.clear();
}

/// Ends chats from the one that was longest without an event, up to the first
/// that is not idle long enough. One that still works on its last event counts
/// as used now; so another may stay for twice the time, but no walk over all of
/// them is needed.
void shard_actor::passivate_chats(mono_time now) {
  auto idle_from = (now - shared_->how.chat_idle).time_since_epoch().count();
  for (auto left = chats_.size(); left > 0; --left) {
    auto& x = *used_.oldest();
    auto& s = *x.second.state;
    if (s.waiting != 0) {
      used_.use(x);
      continue;
    }
    if (s.last_active > idle_from)
      return;
    send_exit(x.second.who, caf::exit_reason::user_shutdown);
    used_.drop(x);
    const auto key = x.first;
    chats_.erase(key);
  }
}

// -- reports ------------------------------------------------------------------

void shard_actor::report(const report_shard& m) {
  shard_report r;
  r.shard = id_;
  if (owned_)
    r.term = owned_->held.term;
  r.chats = chats_.size();
  r.lanes = lanes_.size();
  if (owned_)
    r.journal_waiting =
        std::uint64_t(std::max<std::int64_t>(owned_->to_turn, 0));
  // The busy ones are among those with the latest events.
  for (auto x = used_.newest(); x && r.busiest.size() < busiest_looked_at;
       x = x->second.older)
    r.busiest.push_back(
        {x->first, x->second.state->done, x->second.state->waiting});
  for (auto& [key, s] : lanes_)
    r.calls_waiting += s.state->waiting;
  auto keep = std::min(busiest_reported, r.busiest.size());
  std::partial_sort(r.busiest.begin(), r.busiest.begin() + std::ptrdiff_t(keep),
                    r.busiest.end(), [](auto& a, auto& b) {
                      return std::tie(a.waiting, a.turns) >
                             std::tie(b.waiting, b.turns);
                    });
  r.busiest.resize(keep);
  m.tell(std::move(r));
}

void shard_actor::report_one(const report_chat& m) {
  chat_report r;
  if (auto it = chats_.find(m.key); it != chats_.end()) {
    r.active = true;
    r.waiting = it->second.state->waiting;
    r.turns = it->second.state->done;
  }
  if (auto it = lanes_.find(m.key); it != lanes_.end()) {
    auto& s = *it->second.state;
    r.calls_waiting = s.waiting;
    r.calls_done = s.done;
    r.lane = s.doing.load();
    auto now = shared_->how.time->mono().time_since_epoch().count();
    r.frozen_ms = std::max<std::int64_t>(0, (s.frozen_until - now) / 1'000'000);
  }
  m.tell(std::move(r));
}

}  // namespace troupe::actors
