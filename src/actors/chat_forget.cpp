#include "actors/chat_attempt.hpp"
#include "actors/forget_desk.hpp"
#include "core/log.hpp"

// A chat is forgotten in its turn: after all that came before the wish, and
// before all that comes after it (docs/adr/0024).
namespace troupe::actors {

using namespace std::chrono_literals;

/// Repeated as a whole, whatever became of it: it removes what is there.
void chat_actor::begin_forget() {
  now_->result.kind = "forget";
  step_ = step::forgetting;
  state_->doing = "forgetting";
  // What it still has to send, before the store lets go of it. One node has
  // the lanes of all its calls at the shards of those they go to.
  if (shared_->clustered())
    caf::anon_send(shard_, calls_forgotten{key_});
  else
    for (const auto& shard : shared_->shards)
      caf::anon_send(shard, calls_forgotten{key_});
  const auto me = caf::actor_cast<caf::actor>(this);
  now_->began = now_->ran = shared_->how.time->mono();
  if (!owned_->safe(now_->ran)) {
    shared_->count.held_back.add();
    caf::anon_send(me, chat_event{chat_forgotten{now_->number, lapsed()}});
    return;
  }
  shared_->store.forget(owned_->held, key_, now_->what.what.seq,
                        [me, number = now_->number](auto answer) {
                          caf::anon_send(me, chat_event{chat_forgotten{
                                                 number, std::move(answer)}});
                        });
}

void chat_actor::on(chat_forgotten& m) {
  if (step_ != step::forgetting || !now_ || now_->number != m.attempt)
    return;
  if (!m.answer) {
    if (m.answer.error().code == errc::fenced) {
      shared_->count.fenced.add();
      caf::anon_send(shard_, lost_lease{owned_->held.term});
      return;  // the shard ends this actor
    }
    shared_->count.store_errors.add();
    log::warn("forget_failed", {{"chat", to_string(key_)},
                                {"error", to_string(m.answer.error())}});
    retry_later(++store_failures_, 50ms, 2s);
    return;
  }
  store_failures_ = 0;
  // Of its entries only the wish was left.
  const auto& gone = *m.answer;
  log::info("chat_forgotten", {{"chat", to_string(key_)},
                               {"records", gone.records},
                               {"calls", gone.calls},
                               {"timers", gone.timers},
                               {"dead_letters", gone.dead_letters},
                               {"members", gone.members},
                               {"tags", gone.tags}});
  live_ = nullptr;
  bad_record_ = nullptr;
  have_record_ = anew_ = false;
  version_ = 0;
  audience_ms_ = 0;
  drop_fired();
  now_->done = shared_->how.time->mono();
  finish(true);
}

/// Its timers are gone, also those that wait for their turn.
void chat_actor::drop_fired() {
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (!it->fired) {
      ++it;
      continue;
    }
    caf::anon_send(shared_->timers, timer_done{std::move(*it->fired)});
    state_->waiting -= 1;
    owned_->to_turn -= 1;
    it = queue_.erase(it);
  }
}

}  // namespace troupe::actors
