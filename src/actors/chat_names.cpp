#include <algorithm>
#include <utility>

#include "actors/chat_attempt.hpp"
#include "actors/turn_names.hpp"

// What is reserved between a turn's run and its commit: the keys of `once`
// (docs/adr/0014), and anew the lock of a turn that took long (docs/adr/0015).
namespace troupe::actors {

using namespace std::chrono_literals;

/// Asks for what the run needs to be its own; the answer comes to `chat` as
/// `keys_reserved`.
/// **Threads**: whoever has the attempt.
void chat_actor::reserve_keys(services& shared, caf::actor chat, attempt& job) {
  std::vector<wanted_name> names;
  for (auto& k : job.result.wanted.once)
    names.push_back({once_name(k.key), job.identity, k.ttl_ms});
  if (job.lock && job.lock->token != 0)
    names.push_back({detail::stored_lock(job.lock->wanted.name),
                     job.lock->wanted.holder, job.lock->wanted.ttl_ms,
                     job.lock->token});
  reserve(shared.store, names,
          [chat = std::move(chat), number = job.number,
           asked = shared.how.time->mono()](auto denied) {
            caf::anon_send(chat, chat_event{keys_reserved{number, asked,
                                                          std::move(denied)}});
          });
}

void chat_actor::reserve_again() {
  step_ = step::turning;
  state_->doing = "reserving";
  reserve_keys(*shared_, caf::actor_cast<caf::actor>(this), *now_);
}

void chat_actor::on(keys_reserved& m) {
  if (step_ != step::turning || !now_ || now_->number != m.attempt)
    return;
  now_->reserving = !m.denied;
  if (!m.denied) {
    shared_->count.store_errors.add();
    retry_later(++store_failures_, 50ms, 2s);
    return;
  }
  store_failures_ = 0;
  for (auto& w : now_->result.wanted.once) {
    auto& list =
        std::ranges::find(*m.denied, once_name(w.key)) != m.denied->end()
            ? now_->taken
            : now_->reserved;
    if (std::ranges::find(list, w.key) == list.end())
      list.push_back(w.key);
  }
  if (m.denied->empty()) {
    now_->reserved_at = m.asked;
    if (now_->lock)
      now_->lock->at = m.asked;
    auto subject = now_->subject(key_, version_, anew_);
    now_->commit = commit_of(subject, now_->result, *owned_, now_->ended,
                             shared_->shared_shards());
    now_->tell_audience(key_, to_ms(now_->ended), audience_ms_);
    commit();
    return;
  }
  shared_->count.turns_denied.add();
  if (now_->lock &&
      std::ranges::find(*m.denied,
                        detail::stored_lock(now_->lock->wanted.name)) !=
          m.denied->end())
    shared_->count.locks_lost.add();
  // Each run learns at least one key more, so this ends.
  if (now_->taken.size() > detail::most_once) {
    have_record_ = false;  // what the chat has in memory is of that run
    bury("the turn asks for over 64 keys of once that others have");
    return;
  }
  run_again();
}

/// Its result is thrown away: from the record, with what was learned.
void chat_actor::run_again() {
  now_->again = true;
  have_record_ = false;
  step_ = step::checking;
  load_record();
}

/// Keys that an earlier run of the turn reserved, and the committed one did not
/// ask for.
void chat_actor::give_back_unused() {
  auto& kept = now_->result.wanted.once;
  for (auto& key : now_->reserved)
    if (std::ranges::find(kept, key, &detail::wanted_once::key) == kept.end())
      give_back(shared_->store, once_name(key), now_->identity, [](bool) {});
}

}  // namespace troupe::actors
