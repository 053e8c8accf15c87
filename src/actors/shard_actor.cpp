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
constexpr milliseconds reading_pause{100};
constexpr milliseconds passivate_every{1'000};

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
          dispatch_call(std::move(c), m.inherited);
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
      [this](const hand_over& m) { begin_hand_over(m.term); },
      [this](quiet_atom) { look_whether_quiet(); },
      [this](const journal_ends& m) {
        if (!owned_ || owned_->held.term != m.term)
          return;
        order_.ends_at(m.tail);
        look_for_gap();
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
  // A claim of ours that was done but not answered, and then repeated.
  if (owned_)
    let_go();
  owned_ = std::move(m.owned);
  outbox_read_ = {};
  journal_read_ = {};
  heal_asked_ = false;
  for (auto& s : m.spent)
    spent_[s.to].push_back(s);
  step_ = step::outbox;
  ask_outbox();
}

void shard_actor::ask_outbox() {
  if (std::exchange(reading_, true))
    return;
  shared_->store.outbox(
      id_, outbox_read_, read_page,
      [me = caf::actor_cast<caf::actor>(this),
       term = owned_->held.term](auto answer) {
        caf::anon_send(me, outbox_page{term, std::move(answer)});
      });
}

/// True if the page is what we wait for.
bool shard_actor::expected(epoch term, bool fits) {
  if (!owned_ || owned_->held.term != term)
    return false;  // asked under an earlier lease
  reading_ = false;
  return fits;
}

void shard_actor::on_outbox(outbox_page& m) {
  if (!expected(m.term, step_ == step::outbox))
    return;
  if (!m.page) {
    shared_->count.store_errors.add();
    delayed_send(this, reading_pause, heal_atom::value);
    return;
  }
  auto size = m.page->size();
  shared_->outbox += std::int64_t(size);
  for (auto& c : *m.page) {
    outbox_read_ = c.id;
    auto& to = shared_->sender_for(c.from, c.to);
    if (to == this)
      dispatch_call(std::move(c), true);
    else
      caf::anon_send(to, committed_calls{{std::move(c)}, true});
  }
  if (size == read_page) {
    ask_outbox();
    return;
  }
  step_ = step::journal;
  ask_journal({}, false);
}

void shard_actor::ask_journal(seq_no after, bool healing) {
  if (std::exchange(reading_, true))
    return;
  shared_->store.backlog(
      id_, after, read_page,
      [me = caf::actor_cast<caf::actor>(this), term = owned_->held.term,
       healing](auto answer) {
        caf::anon_send(me, journal_page{term, healing, std::move(answer)});
      });
}

void shard_actor::on_journal(journal_page& m) {
  bool fits = m.healing ? step_ == step::following : step_ == step::journal;
  if (!expected(m.term, fits))
    return;
  if (!m.page) {
    shared_->count.store_errors.add();
    delayed_send(this, reading_pause, heal_atom::value);
    return;
  }
  auto size = m.page->size();
  if (m.healing) {
    shared_->count.gaps_healed.add();
    const auto hinted = order_.kept();
    auto found = order_.heal(std::move(*m.page), size == read_page);
    // The rest was hinted, and only waited for what was missing before it.
    const auto known = std::min(hinted - order_.kept(), found.size());
    shared_->count.entries_healed.add(found.size() - known);
    dispatch(std::move(found));
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
      delayed_send(this, reading_pause, heal_atom::value);
    else
      ask_journal(journal_read_, false);
    return;
  }
  step_ = step::following;
  order_.start(std::max(journal_read_, owned_->held.tail));
  dispatch(order_.offer({}));
  count_kept();
  shared_->follows[id_.value] = true;
  log::debug("shard_followed", {{"shard", unsigned{id_.value}},
                                {"epoch", unsigned{owned_->held.term.value}}});
  caf::anon_send(shared_->timers, go_atom::value);
  look_for_gap();
}

// -- following ----------------------------------------------------------------

void shard_actor::on_appended(appended& m) {
  const auto came = std::int64_t(m.entries.size());
  // Else the owner finds them in the store.
  if (owned_ && step_ != step::ending)
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
    // A long one comes from another node without its body.
    if (!e.body || to.state->waiting >= chat_actor::loaded) {
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

void shard_actor::dispatch_call(store::call what, bool inherited) {
  // Ours are read from the outbox at each start: what is told of under another
  // lease than now is there, or with another owner.
  bool known = owned_ && step_ != step::ending &&
               (inherited || !shared_->clustered() || owned_->made(what.id));
  if (!known) {
    shared_->outbox -= 1;
    return;
  }
  auto& to = lane_slot(what.to);
  to.state->waiting += 1;
  caf::anon_send(to.who, lane_call{std::move(what), inherited});
}

void shard_actor::dispatch_timer(store::timer what) {
  if (step_ != step::following) {
    caf::anon_send(shared_->timers, timer_done{std::move(what)});
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
    s.who = spawn<lane_actor, caf::lazy_init>(shared_, owned_, key, s.state,
                                              std::move(spent));
  }
  s.state->touch(shared_->how.time->mono());
  return s;
}

}  // namespace troupe::actors
