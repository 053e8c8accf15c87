#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/callback.hpp"
#include "store/redis_codec.hpp"
#include "store/redis_command.hpp"
#include "store/store.hpp"

/// Calls of the contract as parts of the script (redis/*.lua), and its replies
/// back: pure functions.
///
/// The keys of a shard, after `troupe:{<bot>:<shard>}:`
/// | key | type | what |
/// |---|---|---|
/// | `m` | hash | tail, owner, until, epoch; counters |
/// | `j` | stream | the journal; ids are `<sequence>-0` |
/// | `o` | hash | the outbox: call id to call |
/// | `c:<chat>` | hash | a record: v, s, m, e, x (its end), `l:<label>` |
/// | `t`, `t:<chat>` | sorted set, hash | timers by due time; by name |
/// | `d:<block>` | set or bitmap | update ids seen, 32,768 a block |
/// | `x` | stream | dead letters; ids are `<ms>-0` |
/// | `a:<bucket>` | hash | the audience, in 256 small hashes |
/// | `b:<bucket>` | hash | tags of those members that have some |
/// | `g` | sorted set | what groups spent in the last minute |
/// | `k` | hash | tallies: `<campaign>:<outcome>` to how many |
/// | `p`, `q` | hash | parcels to other shards; what came from others |
/// | `w` | hash | with `wait_replicas`: what a run writes that only reads |
/// Of the whole store, after `troupe:{<bot>}:`
/// | `m` | hash | its format and shards; the last token |
/// | `n`, `l` | hash | nodes that are alive; named leases |
namespace troupe::store::redis {

/// One call on one shard.
struct part {
  std::optional<shard_id> shard;  ///< none: the whole store
  const char* op = "";
  std::vector<arg> args;
  bool writes = false;
  std::size_t bytes = 0;
  /// A HGETALL of this key of the shard answers the same, without the script.
  std::string plain_key;

  part& add(std::string text);
  part& add(payload text);
  part& add(std::uint64_t n) { return add(std::to_string(n)); }
  part& add_signed(std::int64_t n) { return add(std::to_string(n)); }
};

part make_part(const char* op, std::optional<shard_id> shard, bool writes);
std::optional<std::uint64_t> read_u64(std::string_view text);

/// Where a walk through a reply stands. What does not fit what is asked for is
/// remembered, and answered with nothing.
class reading {
 public:
  explicit reading(const std::vector<reply>& items) : items_{&items} {}

  bool good() const noexcept { return good_; }
  bool more() const noexcept { return good_ && at_ < items_->size(); }
  void fail() noexcept { good_ = false; }

  std::string text();
  std::uint64_t number();
  std::optional<std::uint64_t> number_or_nil();
  const std::vector<reply>& list();

 private:
  const reply* next();

  const std::vector<reply>* items_;
  std::size_t at_ = 0;
  bool good_ = true;
};

error malformed(const char* op);

/// A part's reply without its first word.
/// **Errors**: what the script refused it for.
result<reading> read_reply(const reply& whole, const char* op);

part accept_part(shard_id shard, const std::vector<const arrival*>& sorted);
result<std::vector<seq_no>> read_accept(reading in);

/// What an owner sent and nobody saw arrive.
struct kept_parcel {
  std::string id;
  parcel what;
};
part parcels_part(shard_id shard);
result<std::vector<kept_parcel>> read_parcels(reading in);

part claim_part(shard_id shard, const std::string& node, milliseconds ttl);
struct claim_answer {
  std::optional<lease> held;
  std::vector<kept_parcel> parcels;
};
result<claim_answer> read_claim(reading in, shard_id shard);

part renew_part(const lease& held, milliseconds ttl);
result<std::optional<lease>> read_renew(reading in, const lease& held);
part release_part(const lease& held);

part heartbeat_part(const node_info& me, milliseconds ttl);
result<std::vector<node_info>> read_nodes(reading in);
part leave_part(const std::string& name);
part acquire_part(const std::string& name, const std::string& holder,
                  milliseconds ttl);
result<std::optional<grant>> read_grant(reading in);
part relinquish_part(const std::string& name, const std::string& holder);

part backlog_part(shard_id shard, seq_no after, std::size_t limit);
part entries_part(shard_id shard, const std::vector<seq_no>& wanted);
result<std::vector<entry>> read_entries(reading in);

part load_part(shard_id shard, const chat_key& key);
result<chat_record> read_record(reading in, const chat_key& key, wall_time now);

/// What a commit or settle sends to other shards, in order; `of` is the turn
/// and the place among its notices.
struct outgoing {
  std::size_t turn = 0;
  std::optional<std::size_t> notice;
  parcel what;
};

struct commit_plan {
  part what;
  std::vector<outgoing> parcels;
};
commit_plan plan_commit(const lease& held, const std::vector<turn>& turns,
                        std::uint16_t shards, wall_time now);
struct posted {
  std::string id;
  std::size_t which = 0;  ///< of the plan's parcels
};
struct commit_answer {
  std::vector<turn_receipt> receipts;
  std::vector<posted> parcels;
};
/// `appended` has all notices, those that are still on their way with
/// sequence 0.
result<commit_answer> read_commit(reading in, const std::vector<turn>& turns,
                                  const commit_plan& plan, wall_time now);

commit_plan plan_settle(const lease& held,
                        const std::vector<settlement>& outcomes,
                        std::uint16_t shards, wall_time now);
struct settle_answer {
  std::vector<std::optional<entry>> events;
  std::vector<posted> parcels;
};
result<settle_answer> read_settle(reading in,
                                  const std::vector<settlement>& outcomes,
                                  const commit_plan& plan, wall_time now);

part take_in_part(const parcel& p, shard_id from, const std::string& id,
                  wall_time now);
/// For the sender.
part arrived_part(const parcel& p, shard_id from, const std::string& id);
entry notice_entry(const notice& n, const chat_key& from, wall_time now);

part outbox_part(shard_id shard, call_id after, std::size_t limit);
part calls_part(shard_id shard, const std::vector<call_id>& wanted);
result<std::vector<call>> read_calls(reading in);

part spent_part(shard_id shard, wall_time since);
result<std::vector<spending>> read_spent(reading in);

part due_part(shard_id shard, wall_time now, std::size_t limit);
result<backend::due_timers> read_due(reading in);
/// The earliest `limit` of several shards' answers.
backend::due_timers merge_due(std::vector<backend::due_timers> all,
                              std::size_t limit);
part timers_part(shard_id shard, const chat_key& key);
result<std::vector<timer>> read_timers(reading in, const chat_key& key);

/// Dead letters' ids are unique in the store: time of death, then the shard.
shard_id shard_of_dead(dead_letter_id id) noexcept;
/// Without those of no shard of `shards`.
std::map<shard_id, std::vector<dead_letter_id>> by_shard(
    const std::vector<dead_letter_id>& which, std::uint16_t shards);
std::map<shard_id, std::vector<chat_key>> by_shard(
    const std::vector<chat_key>& keys, std::uint16_t shards);
part dead_letters_part(shard_id shard, dead_letter_id after, std::size_t limit);
result<std::vector<dead_letter>> read_dead_letters(reading in, shard_id shard);
part retry_part(shard_id shard, const std::vector<dead_letter_id>& which);
struct retried {
  dead_letter_id id;
  entry what;
};
result<std::vector<retried>> read_retry(reading in, shard_id shard);
part drop_part(shard_id shard, const std::vector<dead_letter_id>& which);

part audience_part(shard_id shard, const std::optional<chat_key>& after,
                   std::size_t limit);
/// Members above `after` in the order of the store.
result<std::vector<member>> read_audience(reading in,
                                          const std::optional<chat_key>& after);

/// @param whom all of that shard
part tag_part(shard_id shard, const std::vector<chat_key>& whom,
              const std::string& name, bool add);

part about_part(shard_id shard, const chat_key& key);
part forget_part(const lease& held, const chat_key& key, seq_no through);
result<holdings> read_holdings(reading in);

part tallies_part(shard_id shard, const std::vector<std::uint64_t>& campaigns);
/// Adds to `into`, in the order of the question.
result<> read_tallies(reading in, std::vector<campaign_tally>& into);

part stats_part(shard_id shard);
/// Adds to `sum`.
result<> read_stats(reading in, store::figures& sum);

}  // namespace troupe::store::redis
