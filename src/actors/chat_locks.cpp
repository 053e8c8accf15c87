#include <algorithm>
#include <random>
#include <utility>

#include "actors/chat_attempt.hpp"
#include "actors/turn_names.hpp"
#include "core/log.hpp"

// Locks: between the timer that stands for a request and the turn of its
// answer, and after that (docs/adr/0015).
namespace troupe::actors {

using namespace std::chrono_literals;

namespace {

// With up to 2 s between them: two minutes.
constexpr unsigned most_releases = 80;

}  // namespace

/// If the turn is about a lock, asks the store for it first, at every attempt.
/// False: it is about something else.
bool chat_actor::ask_lock() {
  auto event = event_of(now_->subject(key_, version_, anew_));
  if (!detail::asks_for_lock(event))
    return false;
  auto request = detail::lock_request_of(event);
  if (!request) {
    bury(to_string(request.error()));
    return true;
  }
  now_->lock = asked_lock{std::move(*request), 0, {}, false};
  step_ = step::locking;
  state_->doing = "locking";
  auto& wanted = now_->lock->wanted;
  shared_->store.acquire(
      detail::stored_lock(wanted.name), wanted.holder,
      milliseconds{wanted.ttl_ms},
      [me = caf::actor_cast<caf::actor>(this), number = now_->number,
       asked = shared_->how.time->mono()](auto answer) {
        caf::anon_send(
            me, chat_event{lock_answered{number, asked, std::move(answer)}});
      });
  return true;
}

void chat_actor::on(lock_answered& m) {
  if (step_ != step::locking || !now_ || now_->number != m.attempt)
    return;
  if (!m.answer) {
    shared_->count.store_errors.add();
    now_->tries -= 1;  // no handler ran
    retry_later(++store_failures_, 50ms, 2s);
    return;
  }
  store_failures_ = 0;
  auto& lock = *now_->lock;
  if (*m.answer) {
    lock.token = (*m.answer)->token;
    lock.at = m.asked;
    shared_->count.locks_granted.add();
  } else if (to_ms(shared_->how.time->wall()) < lock.wanted.until_ms) {
    wait_for_lock();
    return;
  } else {
    shared_->count.locks_denied.add();
  }
  step_ = step::turning;
  state_->doing = "turning";
  run_turn();
}

/// Until the next try the request is a timer again, and this chat goes on.
void chat_actor::wait_for_lock() {
  thread_local std::minstd_rand random{std::random_device{}()};
  auto& lock = *now_->lock;
  lock.waits = true;
  const auto subject = now_->subject(key_, version_, anew_);
  const auto due =
      detail::next_try(lock.wanted, to_ms(shared_->how.time->wall()), random());
  lock.wanted.tries += 1;
  auto next = detail::timer_for(lock.wanted, due);
  now_->commit = bare_commit(subject);
  now_->commit.set.push_back(
      {key_, std::move(next.name), from_ms(next.due_ms), std::move(next.body)});
  shared_->count.lock_waits.add();
  commit();
}

/// After a turn: what it does not keep, and what it gave up.
void chat_actor::release_locks(bool committed) {
  auto& wanted = now_->result.wanted;
  const bool turned = committed && !now_->commit.dead;
  if (turned)
    for (auto& l : wanted.unlocked)
      release({detail::stored_lock(l.name), std::move(l.holder), 0});
  if (!now_->lock || now_->lock->token == 0)
    return;
  auto& lock = now_->lock->wanted;
  // What the chat had before is given up by a turn that says so only.
  const bool stays = turned ? wanted.keeps_lock : lock.kept;
  if (!stays)
    release({detail::stored_lock(lock.name), lock.holder, 0});
}

/// Until the store has heard it, this actor stays: others wait for the lock.
void chat_actor::release(lock_release what) {
  state_->waiting += 1;
  give_back(shared_->store, what.name, what.holder,
            [me = caf::actor_cast<caf::actor>(this), what](bool freed) {
              caf::anon_send(me, chat_event{lock_released{what, freed}});
            });
}

void chat_actor::on(lock_released& m) {
  if (m.done || ++m.what.tries == most_releases) {
    if (!m.done)
      log::warn("lock_not_released", {{"chat", to_string(key_)},
                                      {"lock", m.what.name},
                                      {"effect", "it ends with its ttl"}});
    state_->waiting -= 1;
    return;
  }
  shared_->count.store_errors.add();
  delayed_send(this, std::min<milliseconds>(50ms * m.what.tries, 2s),
               chat_event{release_again{std::move(m.what)}});
}

void chat_actor::on(release_again& m) {
  state_->waiting -= 1;
  release(std::move(m.what));
}

}  // namespace troupe::actors
