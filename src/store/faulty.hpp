#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "store/store.hpp"

namespace troupe::store {

/// One planned misfortune.
struct fault {
  enum class what : std::uint8_t {
    fail,               ///< not done; answered `unavailable`
    delay,              ///< done; all answers come `wait` later
    commit_then_error,  ///< done; answered `unknown_outcome`
  };
  what happens = what::fail;
  std::uint64_t operations = 1;  ///< how many in a row it befalls
  milliseconds wait{0};          ///< of `delay`
};

/// Any store, with a plan of what goes wrong: for tests that fail the n-th
/// operation. Operations count from 1 in the order of the calls; accepts have a
/// count of their own, too. What isn't planned goes through.
///
/// A delay holds the store's thread, as a slow disk would.
class faulty final : public backend {
 public:
  explicit faulty(std::unique_ptr<backend> inner) : inner_{std::move(inner)} {}

  /// From the `n`-th operation on.
  /// **Threads**: any.
  void at(std::uint64_t n, fault f);
  /// From the `n`-th accept on, whatever else goes on meanwhile.
  void at_accept(std::uint64_t n, fault f);
  /// Every renewal of leases and every heartbeat fails: for others this node is
  /// as good as dead. Until told otherwise; `heal` changes nothing.
  void fail_renewals(bool yes);
  /// Forgets the plan, not the counts.
  void heal();
  std::uint64_t operations() const;
  std::uint64_t accepts() const;

  std::uint16_t shards() const noexcept override { return inner_->shards(); }
  bool exclusive() const noexcept override { return inner_->exclusive(); }
  bool takes_sql() const noexcept override { return inner_->takes_sql(); }
  void accept(std::vector<arrival> batch,
              callback<std::vector<receipt>> done) override;
  void claim(std::vector<shard_id> wanted, std::string node, milliseconds ttl,
             callback<std::vector<lease>> done) override;
  void renew(std::vector<lease> held, milliseconds ttl,
             callback<std::vector<lease>> done) override;
  void release(std::vector<lease> held, callback<> done) override;
  void heartbeat(node_info me, milliseconds ttl,
                 callback<std::vector<node_info>> done) override;
  void leave(std::string name, callback<> done) override;
  void acquire(std::string name, std::string holder, milliseconds ttl,
               callback<std::optional<grant>> done) override;
  void relinquish(std::string name, std::string holder,
                  callback<> done) override;
  void backlog(shard_id shard, seq_no after, std::size_t limit,
               callback<std::vector<entry>> done) override;
  void entries(shard_id shard, std::vector<seq_no> wanted,
               callback<std::vector<entry>> done) override;
  void load(std::vector<chat_key> keys,
            callback<std::vector<chat_record>> done) override;
  void commit(lease held, std::vector<turn> turns,
              callback<std::vector<turn_receipt>> done) override;
  void outbox(shard_id shard, call_id after, std::size_t limit,
              callback<std::vector<call>> done) override;
  void calls(shard_id shard, std::vector<call_id> wanted,
             callback<std::vector<call>> done) override;
  void settle(lease held, std::vector<settlement> outcomes,
              callback<std::vector<std::optional<entry>>> done) override;
  void spent(wall_time since, callback<std::vector<spending>> done) override;
  void due(std::vector<shard_id> shards, wall_time now, std::size_t limit,
           callback<due_timers> done) override;
  void timers(chat_key key, callback<std::vector<timer>> done) override;
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
  void about(chat_key key, callback<holdings> done) override;
  void forget(lease held, chat_key key, seq_no through,
              callback<holdings> done) override;
  void tallies(std::vector<std::uint64_t> campaigns,
               callback<std::vector<campaign_tally>> done) override;
  void stats(callback<figures> done) override;
  void close() override { inner_->close(); }

 private:
  using plan = std::map<std::uint64_t, fault>;

  std::optional<fault> next(bool accept);
  template <class T>
  void refuse(callback<T> done);
  template <class T, class Go>
  void meet_renewal(callback<T> done, Go go);
  template <class T, class Go>
  void meet(callback<T> done, Go go, bool accept = false);

  std::unique_ptr<backend> inner_;
  mutable std::mutex mutex_;
  std::uint64_t operations_ = 0;
  std::uint64_t accepts_ = 0;
  bool renewals_fail_ = false;
  plan all_plan_;
  plan accept_plan_;
};

}  // namespace troupe::store
