#include "store/redis_store.hpp"

#include <algorithm>
#include <utility>

#include "store/checks.hpp"
#include "store/redis_audience.hpp"
#include "store/redis_batcher.hpp"
#include "store/redis_carrier.hpp"
#include "store/redis_open.hpp"

namespace troupe::store::redis {

namespace {

error none_such(std::uint16_t shards) {
  return {errc::bad_input,
          "no such shard: there are " + std::to_string(shards)};
}

class redis_store final : public backend {
 public:
  explicit redis_store(opened on, std::uint16_t shards, const clock& time)
      : on_{std::move(on)},
        shards_{shards},
        time_{time},
        batch_{*on_.loop, *on_.to, on_.prefix, on_.to->parts() == 1, time},
        carrier_{*on_.loop, batch_, time} {}

  ~redis_store() override {
    close();
    batch_.await_answers();  // of calls that came after
    on_.loop->stop();
  }

  std::uint16_t shards() const noexcept override { return shards_; }
  bool exclusive() const noexcept override { return false; }

  void accept(std::vector<arrival> batch,
              callback<std::vector<receipt>> done) override {
    if (auto ok = check_arrivals(batch); !ok)
      return refuse(std::move(done), ok.error());
    batch_.accept(std::move(batch), shards_, std::move(done));
  }
  void claim(std::vector<shard_id> wanted, std::string node, milliseconds ttl,
             callback<std::vector<lease>> done) override;
  void renew(std::vector<lease> held, milliseconds ttl,
             callback<std::vector<lease>> done) override;
  void release(std::vector<lease> held, callback<> done) override;
  void heartbeat(node_info me, milliseconds ttl,
                 callback<std::vector<node_info>> done) override {
    whole(heartbeat_part(me, ttl), std::move(done), read_nodes);
  }
  void leave(std::string name, callback<> done) override {
    whole(leave_part(name), std::move(done),
          [](const reading&) { return result<>{}; });
  }
  void acquire(std::string name, std::string holder, milliseconds ttl,
               callback<std::optional<grant>> done) override {
    whole(acquire_part(name, holder, ttl), std::move(done), read_grant);
  }
  void relinquish(std::string name, std::string holder,
                  callback<> done) override {
    whole(relinquish_part(name, holder), std::move(done),
          [](const reading&) { return result<>{}; });
  }
  void backlog(shard_id shard, seq_no after, std::size_t limit,
               callback<std::vector<entry>> done) override {
    one(backlog_part(shard, after, limit), std::move(done), read_entries);
  }
  void entries(shard_id shard, std::vector<seq_no> wanted,
               callback<std::vector<entry>> done) override {
    one(entries_part(shard, wanted), std::move(done), read_entries);
  }
  void load(std::vector<chat_key> keys,
            callback<std::vector<chat_record>> done) override;
  void commit(lease held, std::vector<turn> turns,
              callback<std::vector<turn_receipt>> done) override;
  void outbox(shard_id shard, call_id after, std::size_t limit,
              callback<std::vector<call>> done) override {
    one(outbox_part(shard, after, limit), std::move(done), read_calls);
  }
  void calls(shard_id shard, std::vector<call_id> wanted,
             callback<std::vector<call>> done) override {
    one(calls_part(shard, wanted), std::move(done), read_calls);
  }
  void settle(lease held, std::vector<settlement> outcomes,
              callback<std::vector<std::optional<entry>>> done) override;
  void spent(wall_time since, callback<std::vector<spending>> done) override;
  void due(std::vector<shard_id> of, wall_time now, std::size_t limit,
           callback<due_timers> done) override;
  void timers(chat_key key, callback<std::vector<timer>> done) override {
    one(timers_part(shard_of(key, shards_), key), std::move(done),
        [key](reading in) { return read_timers(in, key); });
  }
  void dead_letters(dead_letter_id after, std::size_t limit,
                    callback<std::vector<dead_letter>> done) override;
  void retry(std::vector<dead_letter_id> which,
             callback<std::vector<entry>> done) override;
  void drop(std::vector<dead_letter_id> which,
            callback<std::size_t> done) override;
  void audience(std::optional<chat_key> after, std::size_t limit,
                callback<std::vector<member>> done) override;
  void tag(std::vector<chat_key> whom, std::string name, bool add,
           callback<std::size_t> done) override;
  void about(chat_key key, callback<holdings> done) override {
    one(about_part(shard_of(key, shards_), key), std::move(done),
        read_holdings);
  }
  void forget(lease held, chat_key key, seq_no through,
              callback<holdings> done) override {
    if (auto ok = check_forget(held, key, shards_); !ok)
      return refuse(std::move(done), ok.error());
    one(forget_part(held, key, through), std::move(done), read_holdings);
  }
  void tallies(std::vector<std::uint64_t> campaigns,
               callback<std::vector<campaign_tally>> done) override;
  void stats(callback<store::figures> done) override;
  void close() override;

 private:
  template <class T>
  void refuse(callback<T> done, error why) {
    batch_.later([done = std::move(done), why = std::move(why)] { done(why); });
  }

  /// One part, and what its answer means.
  template <class T, class Read>
  void one(part what, callback<T> done, Read read) {
    if (!check_shard(*what.shard, shards_))
      return refuse(std::move(done), none_such(shards_));
    whole(std::move(what), std::move(done), std::move(read));
  }

  template <class T, class Read>
  void whole(part what, callback<T> done, Read read) {
    batch_.run(std::move(what),
               [done = std::move(done), read](result<reading> in) {
                 if (!in)
                   return done(in.error());
                 done(read(*in));
               });
  }

  /// Several parts; `read(i, reading)` adds to a `T` and says if it could.
  template <class T, class Read>
  void many(std::vector<part> what, T into, callback<T> done, Read read) {
    std::vector<const char*> ops;
    for (const auto& p : what) {
      if (p.shard && !check_shard(*p.shard, shards_))
        return refuse(std::move(done), none_such(shards_));
      ops.push_back(p.op);
    }
    batch_.run_all(
        std::move(what),
        [ops = std::move(ops), into = std::move(into), done = std::move(done),
         read = std::move(read)](result<std::vector<reply>> all) mutable {
          if (!all)
            return done(all.error());
          for (std::size_t i = 0; i < all->size(); ++i) {
            auto in = read_reply((*all)[i], ops[i]);
            if (!in)
              return done(in.error());
            if (result<> ok = read(into, i, *in); !ok)
              return done(ok.error());
          }
          done(std::move(into));
        });
  }

  /// Several parts, each answered with a number.
  void add_up(std::vector<part> what, callback<std::size_t> done) {
    many(std::move(what), std::size_t{0}, std::move(done),
         [](std::size_t& n, std::size_t, reading in) -> result<> {
           n += in.number();
           return in.good() ? result<>{} : result<>{malformed("a change")};
         });
  }

  std::vector<shard_id> all_shards() const {
    std::vector<shard_id> out;
    for (std::uint16_t i = 0; i < shards_; ++i)
      out.push_back({i});
    return out;
  }

  opened on_;
  const std::uint16_t shards_;
  const clock& time_;
  batcher batch_;
  carrier carrier_;
};

// -- ownership ----------------------------------------------------------------

void redis_store::claim(std::vector<shard_id> wanted, std::string node,
                        milliseconds ttl, callback<std::vector<lease>> done) {
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::vector<part> parts;
  for (auto s : wanted)
    parts.push_back(claim_part(s, node, ttl));
  many(std::move(parts), std::vector<lease>{}, std::move(done),
       [this, wanted](std::vector<lease>& out, std::size_t i,
                      reading in) -> result<> {
         auto answer = read_claim(in, wanted[i]);
         if (!answer)
           return answer.error();
         if (!answer->held)
           return {};
         out.push_back(*answer->held);
         carrier_.carry_kept(wanted[i], std::move(answer->parcels));
         return {};
       });
}

void redis_store::renew(std::vector<lease> held, milliseconds ttl,
                        callback<std::vector<lease>> done) {
  std::vector<part> parts;
  for (const auto& l : held)
    parts.push_back(renew_part(l, ttl));
  many(std::move(parts), std::vector<lease>{}, std::move(done),
       [held](std::vector<lease>& out, std::size_t i, reading in) -> result<> {
         auto answer = read_renew(in, held[i]);
         if (!answer)
           return answer.error();
         if (*answer)
           out.push_back(**answer);
         return {};
       });
}

void redis_store::release(std::vector<lease> held, callback<> done) {
  std::vector<part> parts;
  for (const auto& l : held)
    if (check_shard(l.shard, shards_))
      parts.push_back(release_part(l));
  batch_.run_all(std::move(parts),
                 [done = std::move(done)](result<std::vector<reply>> all) {
                   done(all ? result<>{} : result<>{all.error()});
                 });
}

// -- records ------------------------------------------------------------------

void redis_store::load(std::vector<chat_key> keys,
                       callback<std::vector<chat_record>> done) {
  std::vector<part> parts;
  for (const auto& key : keys)
    parts.push_back(load_part(shard_of(key, shards_), key));
  many(std::move(parts), std::vector<chat_record>{}, std::move(done),
       [keys = std::move(keys), now = time_.wall()](
           std::vector<chat_record>& out, std::size_t i,
           reading in) -> result<> {
         auto r = read_record(in, keys[i], now);
         if (!r)
           return r.error();
         out.push_back(std::move(*r));
         return {};
       });
}

void redis_store::commit(lease held, std::vector<turn> turns,
                         callback<std::vector<turn_receipt>> done) {
  if (auto ok = check_commit(held, turns, shards_); !ok)
    return refuse(std::move(done), ok.error());
  const auto now = time_.wall();
  auto plan =
      std::make_shared<commit_plan>(plan_commit(held, turns, shards_, now));
  batch_.run(std::move(plan->what), [this, from = held.shard, plan, now,
                                     turns = std::move(turns),
                                     done = std::move(done)](
                                        result<reading> in) mutable {
    if (!in) {
      if (in.error().code == errc::unknown_outcome && !plan->parcels.empty())
        carrier_.look_for(from);
      return done(in.error());
    }
    auto read = read_commit(*in, turns, *plan, now);
    if (!read)
      return done(read.error());
    if (read->parcels.empty())
      return done(std::move(read->receipts));
    auto answer =
        std::make_shared<std::vector<turn_receipt>>(std::move(read->receipts));
    carrier_.carry(
        from, *plan, read->parcels,
        [answer, plan](std::size_t which, seq_no seq) {
          const auto& p = plan->parcels[which];
          (*answer)[p.turn].appended[*p.notice].seq = seq;
        },
        [answer, done = std::move(done)] {
          // What has not arrived yet goes on, and is found by its shard.
          for (auto& r : *answer)
            std::erase_if(r.appended,
                          [](const entry& e) { return e.seq.value == 0; });
          done(std::move(*answer));
        });
  });
}

void redis_store::settle(lease held, std::vector<settlement> outcomes,
                         callback<std::vector<std::optional<entry>>> done) {
  if (auto ok = check_settle(held, outcomes, shards_); !ok)
    return refuse(std::move(done), ok.error());
  const auto now = time_.wall();
  auto plan =
      std::make_shared<commit_plan>(plan_settle(held, outcomes, shards_, now));
  batch_.run(std::move(plan->what), [this, from = held.shard, plan, now,
                                     outcomes = std::move(outcomes),
                                     done = std::move(done)](
                                        result<reading> in) mutable {
    if (!in) {
      if (in.error().code == errc::unknown_outcome && !plan->parcels.empty())
        carrier_.look_for(from);
      return done(in.error());
    }
    auto read = read_settle(*in, outcomes, *plan, now);
    if (!read)
      return done(read.error());
    if (read->parcels.empty())
      return done(std::move(read->events));
    auto answer = std::make_shared<std::vector<std::optional<entry>>>(
        std::move(read->events));
    carrier_.carry(
        from, *plan, read->parcels, nullptr,
        [answer, done = std::move(done)] { done(std::move(*answer)); });
  });
}

// -- what concerns several shards ---------------------------------------------

void redis_store::spent(wall_time since, callback<std::vector<spending>> done) {
  const auto from = std::max(since, time_.wall() - spending_window);
  std::vector<part> parts;
  for (auto s : all_shards())
    parts.push_back(spent_part(s, from));
  many(std::move(parts), std::vector<spending>{}, std::move(done),
       [](std::vector<spending>& out, std::size_t, reading in) -> result<> {
         auto some = read_spent(in);
         if (!some)
           return some.error();
         out.insert(out.end(), some->begin(), some->end());
         return {};
       });
}

void redis_store::due(std::vector<shard_id> of, wall_time now,
                      std::size_t limit, callback<due_timers> done) {
  std::vector<part> parts;
  for (auto s : of)
    parts.push_back(due_part(s, now, limit));
  callback<std::vector<due_timers>> merge =
      [limit, done = std::move(done)](result<std::vector<due_timers>> all) {
        if (!all)
          return done(all.error());
        done(merge_due(std::move(*all), limit));
      };
  many(std::move(parts), std::vector<due_timers>{}, std::move(merge),
       [](std::vector<due_timers>& out, std::size_t, reading in) -> result<> {
         auto one = read_due(in);
         if (!one)
           return one.error();
         out.push_back(std::move(*one));
         return {};
       });
}

void redis_store::dead_letters(dead_letter_id after, std::size_t limit,
                               callback<std::vector<dead_letter>> done) {
  std::vector<part> parts;
  for (auto s : all_shards())
    parts.push_back(dead_letters_part(s, after, limit));
  callback<std::vector<dead_letter>> merge =
      [limit, done = std::move(done)](result<std::vector<dead_letter>> all) {
        if (!all)
          return done(all.error());
        std::sort(all->begin(), all->end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
        if (all->size() > limit)
          all->resize(limit);
        done(std::move(*all));
      };
  many(std::move(parts), std::vector<dead_letter>{}, std::move(merge),
       [after](std::vector<dead_letter>& out, std::size_t i,
               reading in) -> result<> {
         auto some = read_dead_letters(in, {static_cast<std::uint16_t>(i)});
         if (!some)
           return some.error();
         for (auto& d : *some)
           if (d.id > after)
             out.push_back(std::move(d));
         return {};
       });
}

void redis_store::retry(std::vector<dead_letter_id> which,
                        callback<std::vector<entry>> done) {
  std::vector<part> parts;
  std::vector<shard_id> of;
  for (const auto& [shard, ids] : by_shard(which, shards_)) {
    parts.push_back(retry_part(shard, ids));
    of.push_back(shard);
  }
  callback<std::vector<retried>> sort =
      [done = std::move(done)](result<std::vector<retried>> all) {
        if (!all)
          return done(all.error());
        std::sort(all->begin(), all->end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
        std::vector<entry> out;
        for (auto& r : *all)
          out.push_back(std::move(r.what));
        done(std::move(out));
      };
  many(std::move(parts), std::vector<retried>{}, std::move(sort),
       [of = std::move(of)](std::vector<retried>& out, std::size_t i,
                            reading in) -> result<> {
         auto some = read_retry(in, of[i]);
         if (!some)
           return some.error();
         std::move(some->begin(), some->end(), std::back_inserter(out));
         return {};
       });
}

void redis_store::drop(std::vector<dead_letter_id> which,
                       callback<std::size_t> done) {
  std::vector<part> parts;
  for (const auto& [shard, ids] : by_shard(which, shards_))
    parts.push_back(drop_part(shard, ids));
  add_up(std::move(parts), std::move(done));
}

void redis_store::audience(std::optional<chat_key> after, std::size_t limit,
                           callback<std::vector<member>> done) {
  walk_audience(batch_, shards_, after, limit, std::move(done));
}

void redis_store::tag(std::vector<chat_key> whom, std::string name, bool add,
                      callback<std::size_t> done) {
  if (auto ok = check_tag(name); !ok)
    return refuse(std::move(done), ok.error());
  std::vector<part> parts;
  for (const auto& [shard, keys] : by_shard(whom, shards_))
    parts.push_back(tag_part(shard, keys, name, add));
  add_up(std::move(parts), std::move(done));
}

void redis_store::tallies(std::vector<std::uint64_t> campaigns,
                          callback<std::vector<campaign_tally>> done) {
  std::vector<part> parts;
  for (auto s : all_shards())
    parts.push_back(tallies_part(s, campaigns));
  many(std::move(parts), std::vector<campaign_tally>(campaigns.size()),
       std::move(done),
       [](std::vector<campaign_tally>& sum, std::size_t, reading in) {
         return read_tallies(in, sum);
       });
}

void redis_store::stats(callback<store::figures> done) {
  std::vector<part> parts;
  for (auto s : all_shards())
    parts.push_back(stats_part(s));
  callback<store::figures> weigh =
      [this, done = std::move(done)](result<store::figures> sum) {
        if (!sum)
          return done(sum.error());
        used_memory(*on_.to, [sum = *sum, done](result<std::uint64_t> bytes) {
          auto f = sum;
          if (!bytes)
            return done(bytes.error());
          f.bytes = *bytes;
          done(f);
        });
      };
  many(std::move(parts), store::figures{}, std::move(weigh),
       [](store::figures& sum, std::size_t, reading in) {
         return read_stats(in, sum);
       });
}

void redis_store::close() {
  batch_.stop_taking();
  batch_.await_answers();
  on_.to->close();
}

}  // namespace

std::unique_ptr<backend> make_store(opened on, std::uint16_t shards,
                                    const clock& time) {
  return std::make_unique<redis_store>(std::move(on), shards, time);
}

}  // namespace troupe::store::redis
