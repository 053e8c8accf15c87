#include <algorithm>

#include "actors/chat_attempt.hpp"

// How a chat gets from the store what it does not have in memory: its record,
// and the bodies of journal entries that came while it had enough of them.
namespace troupe::actors {

using namespace std::chrono_literals;

void chat_actor::load_record() {
  if (step_ != step::checking)
    step_ = step::loading;
  state_->doing = "loading";
  shared_->store.load(
      {key_}, [me = caf::actor_cast<caf::actor>(this)](auto answer) {
        caf::anon_send(me, chat_event{loaded_record{std::move(answer)}});
      });
}

void chat_actor::on(loaded_record& m) {
  bool checking = step_ == step::checking;
  if (step_ != step::loading && !checking)
    return;
  if (!m.answer || m.answer->size() != 1) {
    shared_->count.store_errors.add();
    retry_later(++store_failures_, 100ms, 2s);
    return;
  }
  store_failures_ = 0;
  step_ = step::idle;
  have_record_ = true;
  auto& record = m.answer->front();
  bool past = record.version > version_;
  version_ = record.version;
  anew_ = record.expired;
  bad_record_ = nullptr;
  if (key_.type == chat_key::kind::campaign)
    campaign_ = std::make_unique<std::string>(std::move(record.state));
  try {
    if (!live_ && !campaign_)
      live_ = shared_->bot->spawn(
          to_string(key_), key_.type == chat_key::kind::chat ? key_.id : 0);
    if (live_)
      live_->load(record.state, record.mode, record.memo,
                  record.expires ? to_ms(*record.expires) : 0);
  } catch (const std::exception& e) {
    bad_record_ = std::make_unique<std::string>(e.what());
    live_ = nullptr;
  }
  if (checking && now_ && now_->again && !(past && now_->commits > 0)) {
    now_->again = now_->reserving = false;
    now_->recommitted = now_->recommitted || now_->commits > 0;
    now_->commits = 0;
    now_->tries -= 1;  // of a run that nobody saw
    begin_turn();
    return;
  }
  if (checking && now_) {
    // The commit was answered `stale`: it was done if the version moved on.
    if (past && now_->recommitted)
      // Maybe the first commit arrived late: then these calls are not its own,
      // and those stay in the outbox for the shard's next start.
      now_->commit.calls.clear();
    if (past)
      applied({});
    else
      finish(false);
    return;
  }
  next();
}

void chat_actor::load_bodies() {
  // The next one in any case: what waits behind it could never end.
  auto kept = room_for(shared_, loaded, 1);
  std::vector<seq_no> wanted;
  for (auto& x : queue_) {
    if (wanted.size() == kept->entries())
      break;
    if (!x.fired && !x.what.body)
      wanted.push_back(x.what.seq);
  }
  asked_ = wanted.size();
  step_ = step::fetching;
  state_->doing = "loading";
  shared_->store.entries(
      owned_->held.shard, std::move(wanted),
      [me = caf::actor_cast<caf::actor>(this), kept](auto answer) {
        caf::anon_send(me, chat_event{loaded_entries{kept, std::move(answer)}});
      });
}

void chat_actor::on(loaded_entries& m) {
  if (step_ != step::fetching)
    return;
  if (!m.answer) {
    shared_->count.store_errors.add();
    retry_later(++store_failures_, 100ms, 2s);
    return;
  }
  store_failures_ = 0;
  step_ = step::idle;
  // What came without a body meanwhile stands behind those asked for.
  for (auto it = queue_.begin(); it != queue_.end() && asked_ > 0;) {
    if (it->fired || it->what.body) {
      ++it;
      continue;
    }
    --asked_;
    auto found = std::find_if(m.answer->begin(), m.answer->end(),
                              [&](auto& e) { return e.seq == it->what.seq; });
    shared_->parked -= 1;
    if (found == m.answer->end()) {
      // Acknowledged before: nothing is left to do for it.
      state_->waiting -= 1;
      owned_->to_turn -= 1;
      it = queue_.erase(it);
      continue;
    }
    shared_->pending += 1;
    it->what = std::move(*found);
    ++it;
  }
  shared_->note_held();
  next();
}

}  // namespace troupe::actors
