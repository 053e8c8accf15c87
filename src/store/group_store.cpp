#include "store/group_store.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "store/checks.hpp"
#include "store/group_writer.hpp"
#include "store/jobs.hpp"

namespace troupe::store {

namespace {

// Commits with SQL of the author's, at once.
constexpr std::size_t sql_lanes = 4;

class group_store final : public backend {
 public:
  group_store(std::shared_ptr<engine> e, bool exclusive, group_limits limits,
              std::shared_ptr<std::mutex> shared, group_sides sides)
      : shards_{e->shards()},
        exclusive_{exclusive},
        for_sql_{std::move(sides.for_sql)},
        main_{std::move(e), limits, std::move(shared), callbacks_} {
    if (sides.upkeep)
      upkeep_ = std::make_unique<group_writer>(std::move(sides.upkeep), limits,
                                               nullptr, callbacks_);
  }

  ~group_store() override { group_store::close(); }

  std::uint16_t shards() const noexcept override { return shards_; }
  bool exclusive() const noexcept override { return exclusive_; }
  bool takes_sql() const noexcept override { return for_sql_ != nullptr; }

  void accept(std::vector<arrival> batch,
              callback<std::vector<receipt>> done) override {
    if (auto ok = check_arrivals(batch); !ok)
      return main_.refuse(
          std::make_unique<accept_job>(std::vector<arrival>{}, std::move(done)),
          ok.error());
    main_.push(std::make_unique<accept_job>(std::move(batch), std::move(done)),
               true);
  }
  void claim(std::vector<shard_id> wanted, std::string node, milliseconds ttl,
             callback<std::vector<lease>> done) override {
    submit<std::vector<lease>>(true, std::move(done),
                               [w = std::move(wanted), n = std::move(node),
                                ttl](engine& e) { return e.claim(w, n, ttl); });
  }
  void renew(std::vector<lease> held, milliseconds ttl,
             callback<std::vector<lease>> done) override {
    submit_to<std::vector<lease>>(
        upkeep(), true, std::move(done),
        [h = std::move(held), ttl](engine& e) { return e.renew(h, ttl); });
  }
  void release(std::vector<lease> held, callback<> done) override {
    submit<void>(true, std::move(done),
                 [h = std::move(held)](engine& e) { return e.release(h); });
  }
  void heartbeat(node_info me, milliseconds ttl,
                 callback<std::vector<node_info>> done) override {
    submit_to<std::vector<node_info>>(
        upkeep(), false, std::move(done),
        [m = std::move(me), ttl](engine& e) { return e.heartbeat(m, ttl); });
  }
  void leave(std::string name, callback<> done) override {
    submit_to<void>(upkeep(), false, std::move(done),
                    [n = std::move(name)](engine& e) { return e.leave(n); });
  }
  void acquire(std::string name, std::string holder, milliseconds ttl,
               callback<std::optional<grant>> done) override {
    submit_to<std::optional<grant>>(
        upkeep(), true, std::move(done),
        [n = std::move(name), h = std::move(holder), ttl](engine& e) {
          return e.acquire(n, h, ttl);
        });
  }
  void relinquish(std::string name, std::string holder,
                  callback<> done) override {
    submit_to<void>(upkeep(), true, std::move(done),
                    [n = std::move(name), h = std::move(holder)](engine& e) {
                      return e.relinquish(n, h);
                    });
  }
  void backlog(shard_id shard, seq_no after, std::size_t limit,
               callback<std::vector<entry>> done) override {
    submit<std::vector<entry>>(false, std::move(done), [=](engine& e) {
      return e.backlog(shard, after, limit);
    });
  }
  void entries(shard_id shard, std::vector<seq_no> wanted,
               callback<std::vector<entry>> done) override {
    submit<std::vector<entry>>(false, std::move(done),
                               [shard, w = std::move(wanted)](engine& e) {
                                 return e.entries(shard, w);
                               });
  }
  void load(std::vector<chat_key> keys,
            callback<std::vector<chat_record>> done) override {
    submit<std::vector<chat_record>>(
        false, std::move(done),
        [k = std::move(keys)](engine& e) { return e.load(k); });
  }
  void commit(lease held, std::vector<turn> turns,
              callback<std::vector<turn_receipt>> done) override {
    const bool sql = std::any_of(turns.begin(), turns.end(),
                                 [](auto& t) { return !t.sql.empty(); });
    submit_to<std::vector<turn_receipt>>(
        sql ? lane() : main_, true, std::move(done),
        [held, t = std::move(turns)](engine& e) { return e.commit(held, t); });
  }
  void outbox(shard_id shard, call_id after, std::size_t limit,
              callback<std::vector<call>> done) override {
    submit<std::vector<call>>(false, std::move(done), [=](engine& e) {
      return e.outbox(shard, after, limit);
    });
  }
  void calls(shard_id shard, std::vector<call_id> wanted,
             callback<std::vector<call>> done) override {
    submit<std::vector<call>>(false, std::move(done),
                              [shard, w = std::move(wanted)](engine& e) {
                                return e.calls(shard, w);
                              });
  }
  void settle(lease held, std::vector<settlement> outcomes,
              callback<std::vector<std::optional<entry>>> done) override {
    submit<std::vector<std::optional<entry>>>(
        true, std::move(done), [held, o = std::move(outcomes)](engine& e) {
          return e.settle(held, o);
        });
  }
  void spent(wall_time since, callback<std::vector<spending>> done) override {
    submit<std::vector<spending>>(
        false, std::move(done), [since](engine& e) { return e.spent(since); });
  }
  void due(std::vector<shard_id> of, wall_time now, std::size_t limit,
           callback<due_timers> done) override {
    submit<due_timers>(false, std::move(done),
                       [s = std::move(of), now, limit](engine& e) {
                         return e.due(s, now, limit);
                       });
  }
  void timers(chat_key key, callback<std::vector<timer>> done) override {
    submit<std::vector<timer>>(false, std::move(done),
                               [key](engine& e) { return e.timers(key); });
  }
  void dead_letters(dead_letter_id after, std::size_t limit,
                    callback<std::vector<dead_letter>> done) override {
    submit<std::vector<dead_letter>>(false, std::move(done), [=](engine& e) {
      return e.dead_letters(after, limit);
    });
  }
  void retry(std::vector<dead_letter_id> which,
             callback<std::vector<entry>> done) override {
    submit<std::vector<entry>>(
        true, std::move(done),
        [w = std::move(which)](engine& e) { return e.retry(w); });
  }
  void drop(std::vector<dead_letter_id> which,
            callback<std::size_t> done) override {
    submit<std::size_t>(
        true, std::move(done),
        [w = std::move(which)](engine& e) { return e.drop(w); });
  }
  void audience(std::optional<chat_key> after, std::size_t limit,
                callback<std::vector<member>> done) override {
    submit<std::vector<member>>(false, std::move(done), [=](engine& e) {
      return e.audience(after, limit);
    });
  }
  void tag(std::vector<chat_key> whom, std::string name, bool add,
           callback<std::size_t> done) override {
    submit<std::size_t>(true, std::move(done),
                        [w = std::move(whom), n = std::move(name),
                         add](engine& e) { return e.tag(w, n, add); });
  }
  void about(chat_key key, callback<holdings> done) override {
    submit<holdings>(false, std::move(done),
                     [key](engine& e) { return e.about(key); });
  }
  void forget(lease held, chat_key key, seq_no through,
              callback<holdings> done) override {
    submit<holdings>(true, std::move(done),
                     [=](engine& e) { return e.forget(held, key, through); });
  }
  void tallies(std::vector<std::uint64_t> campaigns,
               callback<std::vector<campaign_tally>> done) override {
    submit<std::vector<campaign_tally>>(
        false, std::move(done),
        [c = std::move(campaigns)](engine& e) { return e.tallies(c); });
  }
  void stats(callback<figures> done) override {
    submit<figures>(false, std::move(done),
                    [](engine& e) { return e.stats(); });
  }

  void close() override {
    main_.close();
    if (upkeep_)
      upkeep_->close();
    {
      const std::lock_guard lock{lanes_lock_};
      closed_ = true;  // no more are made
    }
    for (const auto& l : lanes_)
      if (l)
        l->close();
  }

 private:
  template <class T, class Run>
  static void submit_to(group_writer& to, bool writes, callback<T> done,
                        Run run) {
    to.push(std::make_unique<call_job<T, Run>>(writes, std::move(run),
                                               std::move(done)),
            false);
  }
  template <class T, class Run>
  void submit(bool writes, callback<T> done, Run run) {
    submit_to<T>(main_, writes, std::move(done), std::move(run));
  }
  group_writer& upkeep() noexcept { return upkeep_ ? *upkeep_ : main_; }

  /// The one with the least to do, for a commit with SQL: a slow statement
  /// holds up who has to share its lane. Where there is none, such turns are
  /// refused.
  group_writer& lane() {
    const std::lock_guard lock{lanes_lock_};
    if (!for_sql_)
      return main_;
    group_writer* best = nullptr;
    std::size_t least = 0;
    for (auto& l : lanes_) {
      if (!l && closed_)
        continue;
      if (!l) {
        group_limits alone;
        alone.group_jobs = 1;
        l = std::make_unique<group_writer>(for_sql_(), alone, nullptr,
                                           callbacks_);
      }
      const auto load = l->unanswered();
      if (best == nullptr || load < least) {
        best = l.get();
        least = load;
      }
      if (load == 0)
        break;
    }
    return best == nullptr ? main_ : *best;
  }

  const std::uint16_t shards_;
  const bool exclusive_;
  const std::function<std::shared_ptr<engine>()> for_sql_;
  // One callback at a time, of all writers.
  const std::shared_ptr<std::mutex> callbacks_ = std::make_shared<std::mutex>();
  group_writer main_;
  std::unique_ptr<group_writer> upkeep_;
  std::mutex lanes_lock_;
  bool closed_ = false;
  std::array<std::unique_ptr<group_writer>, sql_lanes> lanes_;
};

}  // namespace

std::unique_ptr<backend> make_group_store(std::shared_ptr<engine> engine,
                                          bool exclusive, group_limits limits,
                                          std::shared_ptr<std::mutex> shared,
                                          group_sides sides) {
  return std::make_unique<group_store>(std::move(engine), exclusive, limits,
                                       std::move(shared), std::move(sides));
}

}  // namespace troupe::store
