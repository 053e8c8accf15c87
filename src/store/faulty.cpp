#include "store/faulty.hpp"

#include <thread>

namespace troupe::store {

namespace {

std::optional<fault> befalls(const std::map<std::uint64_t, fault>& plan,
                             std::uint64_t n) {
  auto i = plan.upper_bound(n);
  if (i == plan.begin())
    return std::nullopt;
  --i;
  // Subtraction, since `operations` may be "all of them".
  if (n - i->first < i->second.operations)
    return i->second;
  return std::nullopt;
}

}  // namespace

void faulty::at(std::uint64_t n, fault f) {
  std::lock_guard lock{mutex_};
  all_plan_[n] = f;
}

void faulty::at_accept(std::uint64_t n, fault f) {
  std::lock_guard lock{mutex_};
  accept_plan_[n] = f;
}

void faulty::fail_renewals(bool yes) {
  std::lock_guard lock{mutex_};
  renewals_fail_ = yes;
}

void faulty::heal() {
  std::lock_guard lock{mutex_};
  all_plan_.clear();
  accept_plan_.clear();
}

std::uint64_t faulty::operations() const {
  std::lock_guard lock{mutex_};
  return operations_;
}

std::uint64_t faulty::accepts() const {
  std::lock_guard lock{mutex_};
  return accepts_;
}

std::optional<fault> faulty::next(bool accept) {
  std::lock_guard lock{mutex_};
  auto f = befalls(all_plan_, ++operations_);
  if (!accept)
    return f;
  ++accepts_;
  return f ? f : befalls(accept_plan_, accepts_);
}

// A read of nothing brings the answer onto the store's thread, in order.
template <class T>
void faulty::refuse(callback<T> done) {
  inner_->load(
      {}, [done = std::move(done)](result<std::vector<chat_record>> r) {
        done(r ? error{errc::unavailable, "planned to fail"} : r.error());
      });
}

// `go` passes the operation on, with the callback it is given.
template <class T, class Go>
void faulty::meet(callback<T> done, Go go, bool accept) {
  const auto f = next(accept);
  if (!f)
    return go(std::move(done));
  switch (f->happens) {
    case fault::what::fail: refuse(std::move(done)); return;
    case fault::what::delay:
      go(callback<T>{[done = std::move(done), wait = f->wait](result<T> r) {
        std::this_thread::sleep_for(wait);
        done(std::move(r));
      }});
      return;
    case fault::what::commit_then_error:
      go(callback<T>{[done = std::move(done)](result<T> r) {
        if (r)
          r = error{errc::unknown_outcome, "planned to lose the answer"};
        done(std::move(r));
      }});
      return;
  }
}

template <class T, class Go>
void faulty::meet_renewal(callback<T> done, Go go) {
  std::unique_lock lock{mutex_};
  const bool fails = renewals_fail_;
  lock.unlock();
  if (fails)
    return refuse(std::move(done));
  meet(std::move(done), std::move(go));
}

void faulty::accept(std::vector<arrival> batch,
                    callback<std::vector<receipt>> done) {
  meet(
      std::move(done),
      [&](callback<std::vector<receipt>> d) {
        inner_->accept(std::move(batch), std::move(d));
      },
      true);
}

void faulty::claim(std::vector<shard_id> wanted, std::string node,
                   milliseconds ttl, callback<std::vector<lease>> done) {
  meet(std::move(done), [&](callback<std::vector<lease>> d) {
    inner_->claim(std::move(wanted), std::move(node), ttl, std::move(d));
  });
}

void faulty::renew(std::vector<lease> held, milliseconds ttl,
                   callback<std::vector<lease>> done) {
  meet_renewal(std::move(done), [&](callback<std::vector<lease>> d) {
    inner_->renew(std::move(held), ttl, std::move(d));
  });
}

void faulty::release(std::vector<lease> held, callback<> done) {
  meet(std::move(done),
       [&](callback<> d) { inner_->release(std::move(held), std::move(d)); });
}

void faulty::heartbeat(node_info me, milliseconds ttl,
                       callback<std::vector<node_info>> done) {
  meet_renewal(std::move(done), [&](callback<std::vector<node_info>> d) {
    inner_->heartbeat(std::move(me), ttl, std::move(d));
  });
}

void faulty::leave(std::string name, callback<> done) {
  meet(std::move(done),
       [&](callback<> d) { inner_->leave(std::move(name), std::move(d)); });
}

void faulty::acquire(std::string name, std::string holder, milliseconds ttl,
                     callback<std::optional<grant>> done) {
  meet(std::move(done), [&](callback<std::optional<grant>> d) {
    inner_->acquire(std::move(name), std::move(holder), ttl, std::move(d));
  });
}

void faulty::relinquish(std::string name, std::string holder, callback<> done) {
  meet(std::move(done), [&](callback<> d) {
    inner_->relinquish(std::move(name), std::move(holder), std::move(d));
  });
}

void faulty::backlog(shard_id shard, seq_no after, std::size_t limit,
                     callback<std::vector<entry>> done) {
  meet(std::move(done), [&](callback<std::vector<entry>> d) {
    inner_->backlog(shard, after, limit, std::move(d));
  });
}

void faulty::entries(shard_id shard, std::vector<seq_no> wanted,
                     callback<std::vector<entry>> done) {
  meet(std::move(done), [&](callback<std::vector<entry>> d) {
    inner_->entries(shard, std::move(wanted), std::move(d));
  });
}

void faulty::load(std::vector<chat_key> keys,
                  callback<std::vector<chat_record>> done) {
  meet(std::move(done), [&](callback<std::vector<chat_record>> d) {
    inner_->load(std::move(keys), std::move(d));
  });
}

void faulty::commit(lease held, std::vector<turn> turns,
                    callback<std::vector<turn_receipt>> done) {
  meet(std::move(done), [&](callback<std::vector<turn_receipt>> d) {
    inner_->commit(held, std::move(turns), std::move(d));
  });
}

void faulty::outbox(shard_id shard, call_id after, std::size_t limit,
                    callback<std::vector<call>> done) {
  meet(std::move(done), [&](callback<std::vector<call>> d) {
    inner_->outbox(shard, after, limit, std::move(d));
  });
}

void faulty::calls(shard_id shard, std::vector<call_id> wanted,
                   callback<std::vector<call>> done) {
  meet(std::move(done), [&](callback<std::vector<call>> d) {
    inner_->calls(shard, std::move(wanted), std::move(d));
  });
}

void faulty::settle(lease held, std::vector<settlement> outcomes,
                    callback<std::vector<std::optional<entry>>> done) {
  meet(std::move(done), [&](callback<std::vector<std::optional<entry>>> d) {
    inner_->settle(held, std::move(outcomes), std::move(d));
  });
}

void faulty::spent(wall_time since, callback<std::vector<spending>> done) {
  meet(std::move(done), [&](callback<std::vector<spending>> d) {
    inner_->spent(since, std::move(d));
  });
}

void faulty::due(std::vector<shard_id> of, wall_time now, std::size_t limit,
                 callback<due_timers> done) {
  meet(std::move(done), [&](callback<due_timers> d) {
    inner_->due(std::move(of), now, limit, std::move(d));
  });
}

void faulty::timers(chat_key key, callback<std::vector<timer>> done) {
  meet(std::move(done), [&](callback<std::vector<timer>> d) {
    inner_->timers(key, std::move(d));
  });
}

void faulty::dead_letters(dead_letter_id after, std::size_t limit,
                          callback<std::vector<dead_letter>> done) {
  meet(std::move(done), [&](callback<std::vector<dead_letter>> d) {
    inner_->dead_letters(after, limit, std::move(d));
  });
}

void faulty::retry(std::vector<dead_letter_id> which,
                   callback<std::vector<entry>> done) {
  meet(std::move(done), [&](callback<std::vector<entry>> d) {
    inner_->retry(std::move(which), std::move(d));
  });
}

void faulty::drop(std::vector<dead_letter_id> which,
                  callback<std::size_t> done) {
  meet(std::move(done), [&](callback<std::size_t> d) {
    inner_->drop(std::move(which), std::move(d));
  });
}

void faulty::audience(std::optional<chat_key> after, std::size_t limit,
                      callback<std::vector<member>> done) {
  meet(std::move(done), [&](callback<std::vector<member>> d) {
    inner_->audience(after, limit, std::move(d));
  });
}

void faulty::tag(std::vector<chat_key> whom, std::string name, bool add,
                 callback<std::size_t> done) {
  meet(std::move(done), [&](callback<std::size_t> d) {
    inner_->tag(std::move(whom), std::move(name), add, std::move(d));
  });
}

void faulty::about(chat_key key, callback<holdings> done) {
  meet(std::move(done),
       [&](callback<holdings> d) { inner_->about(key, std::move(d)); });
}

void faulty::forget(lease held, chat_key key, seq_no through,
                    callback<holdings> done) {
  meet(std::move(done), [&](callback<holdings> d) {
    inner_->forget(held, key, through, std::move(d));
  });
}

void faulty::tallies(std::vector<std::uint64_t> campaigns,
                     callback<std::vector<campaign_tally>> done) {
  meet(std::move(done), [&](callback<std::vector<campaign_tally>> d) {
    inner_->tallies(std::move(campaigns), std::move(d));
  });
}

void faulty::stats(callback<figures> done) {
  meet(std::move(done),
       [&](callback<figures> d) { inner_->stats(std::move(d)); });
}

}  // namespace troupe::store
