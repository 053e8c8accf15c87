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
constexpr std::chrono::nanoseconds behind_told_every{10s};

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
      [this](const calls_forgotten& m) {
        for (auto& [key, s] : lanes_)
          caf::anon_send(s.who, m);
      },
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
        } else if (step_ == step::following && heal_asked_) {
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
        count_kept();
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
  heal_asked_ = behind_ = false;
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
    on_unread();
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
  if (reading_)
    return;
  auto kept =
      shared_->too_many_parked() ? nullptr : room_for(shared_, read_page);
  if (!kept) {
    fall_behind();
    return;
  }
  reading_ = true;
  behind_ = false;
  shared_->store.backlog(
      id_, after, kept->entries(),
      [me = caf::actor_cast<caf::actor>(this), term = owned_->held.term,
       healing, kept](auto answer) {
        caf::anon_send(me,
                       journal_page{term, healing, kept, std::move(answer)});
      });
}

/// The store did not give a page. Asked again; meanwhile what waited for it
/// takes no room from other shards.
void shard_actor::on_unread() {
  shared_->count.store_errors.add();
  order_.leave();
  count_kept();
  delayed_send(this, reading_pause, heal_atom::value);
}

/// There is no room to read on. Until there is, nothing is kept here: hints
/// that wait for a page that waits for their room would wait for ever.
void shard_actor::fall_behind() {
  behind_ = true;
  if (step_ == step::journal)
    follow(true);
  order_.leave();
  count_kept();
  heal_asked_ = true;
  delayed_send(this, reading_pause, heal_atom::value);
  const auto now = shared_->how.time->mono().time_since_epoch().count();
  auto told = shared_->behind_told.load();
  if ((told == 0 || now - told > behind_told_every.count()) &&
      shared_->behind_told.compare_exchange_strong(told, now))
    log::warn("node_behind", {{"shard", unsigned{id_.value}},
                              {"in_memory", shared_->held()},
                              {"parked", shared_->parked.load()},
                              {"effect",
                               "what comes stays in the store until "
                               "there is room"}});
}

void shard_actor::on_journal(journal_page& m) {
  bool fits = m.healing ? step_ == step::following : step_ == step::journal;
  if (!expected(m.term, fits))
    return;
  if (!m.page) {
    on_unread();
    return;
  }
  if (m.healing) {
    on_healed(m);
    return;
  }
  const bool more = m.page->size() == m.kept->entries();
  if (!m.page->empty())
    journal_read_ = m.page->back().seq;
  dispatch(std::move(*m.page));
  m.kept = nullptr;
  shared_->note_held();
  // A long backlog is taken in as fast as it is turned, not faster.
  if (more)
    ask_journal(journal_read_, false);
  else
    follow(false);
}

/// @param more the journal was not read to its end
void shard_actor::follow(bool more) {
  step_ = step::following;
  const auto end = owned_->held.tail;
  if (more) {
    order_.start(journal_read_, end);
    order_.ends_at(end);
  } else {
    order_.start(std::max(journal_read_, end));
  }
  dispatch(order_.offer({}));
  count_kept();
  shared_->follows[id_.value] = true;
  log::debug("shard_followed", {{"shard", unsigned{id_.value}},
                                {"epoch", unsigned{owned_->held.term.value}}});
  caf::anon_send(shared_->timers, go_atom::value);
  if (!more)
    look_for_gap();
}

void shard_actor::on_healed(journal_page& m) {
  shared_->count.gaps_healed.add();
  const bool more = m.page->size() == m.kept->entries();
  const auto hinted = order_.kept();
  auto found = order_.heal(std::move(*m.page), more);
  // The rest was hinted, and only waited for what was missing before it.
  const auto known = std::min(hinted - order_.kept(), found.size());
  shared_->count.entries_healed.add(found.size() - known);
  dispatch(std::move(found));
  m.kept = nullptr;
  count_kept();
  shared_->note_held();
  heal_asked_ = more && order_.gap();
  if (heal_asked_)
    ask_journal(order_.last(), true);  // not late: there
  else
    look_for_gap();
}

// -- following ----------------------------------------------------------------

void shard_actor::on_appended(appended& m) {
  const auto came = std::int64_t(m.entries.size());
  // Else the owner finds them in the store.
  if (owned_ && step_ != step::ending)
    take_in(std::move(m.entries));
  shared_->hinted -= came;
  shared_->note_held();
}

/// Takes what `services::hinted` has counted, or leaves it in the store.
void shard_actor::take_in(std::vector<store::entry> appended) {
  const bool bare = std::any_of(appended.begin(), appended.end(),
                                [](auto& e) { return !e.body; });
  if (behind_ || shared_->full(0, bare)) {
    shared_->count.hints_left.add(appended.size());
    order_.leave();
  } else {
    dispatch(order_.offer(std::move(appended)));
  }
  count_kept();
  look_for_gap();
}

/// What waits for a gap to be healed is still on its way: a drain waits for it.
void shard_actor::count_kept() {
  const auto now = std::int64_t(order_.kept());
  shared_->hinted += now - kept_;
  kept_ = now;
  const auto unread = std::int64_t(order_.unread());
  shared_->unread += unread - unread_;
  unread_ = unread;
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
