#include "store/redis_batcher.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "store/redis_script.hpp"

namespace troupe::store::redis {

namespace {

// What an arrival costs besides its payload, for the queue's limit.
constexpr std::size_t per_arrival = 128;

error for_reader(const error& why) {
  if (why.code != errc::unknown_outcome)
    return why;
  return {errc::unavailable, why.context};
}

}  // namespace

batcher::batcher(net::loop& on, client& to, std::string prefix, bool together,
                 const clock& time, batch_limits limits)
    : loop_{on},
      client_{to},
      prefix_{std::move(prefix)},
      together_{together},
      time_{time},
      limits_{limits} {}

// -- taking in ----------------------------------------------------------------

void batcher::run(part what, ended done) {
  if (closing())
    return later([done = std::move(done)] {
      done(error{errc::cancelled, "the store is closing"});
    });
  run_inner(std::move(what), std::move(done));
}

void batcher::run_inner(part what, ended done) {
  const auto* op = what.op;
  const auto bytes = what.bytes;
  push({waiting{std::move(what),
                [op, done = std::move(done)](result<reply> r) {
                  done(r ? read_reply(*r, op) : result<reading>{r.error()});
                }},
        bytes});
}

void batcher::run_all(std::vector<part> what, all_ended done) {
  struct gathered {
    std::vector<reply> replies;
    std::size_t left = 0;
    std::optional<error> failed;
    bool some_done = false;
    all_ended done;
  };
  auto all = std::make_shared<gathered>();
  all->replies.resize(what.size());
  all->left = what.size();
  all->done = std::move(done);
  if (closing() || what.empty())
    return later([this, all] {
      if (all->left > 0 || closing())
        all->done(error{errc::cancelled, "the store is closing"});
      else
        all->done(std::move(all->replies));
    });
  for (std::size_t i = 0; i < what.size(); ++i) {
    const auto bytes = what[i].bytes;
    const bool writes = what[i].writes;
    push({waiting{std::move(what[i]),
                  [all, i, writes](result<reply> r) {
                    if (r) {
                      all->replies[i] = std::move(*r);
                      all->some_done = all->some_done || writes;
                    } else if (!all->failed) {
                      all->failed = r.error();
                    }
                    if (--all->left > 0)
                      return;
                    if (!all->failed)
                      return all->done(std::move(all->replies));
                    // Nothing was done, only if that is so of every part.
                    if (all->some_done)
                      all->failed->code = errc::unknown_outcome;
                    all->done(*all->failed);
                  }},
          bytes});
  }
}

void batcher::accept(std::vector<arrival> batch, std::uint16_t shards,
                     callback<std::vector<receipt>> done) {
  std::size_t bytes = 0;
  for (const auto& a : batch)
    bytes += per_arrival + a.body->size();
  std::optional<error> refused;
  {
    const std::lock_guard lock{mutex_};
    if (closing_)
      refused = error{errc::cancelled, "the store is closing"};
    else if (unanswered_ >= limits_.waiting_calls ||
             (unanswered_ > 0 &&
              unanswered_bytes_ + bytes > limits_.waiting_bytes))
      refused = error{errc::unavailable, "too many updates wait for the store"};
  }
  if (refused)
    return later([refused = std::move(*refused), done = std::move(done)] {
      done(refused);
    });
  push({waiting_accept{std::move(batch), shards, std::move(done)}, bytes});
}

void batcher::later(std::function<void()> answer) {
  {
    const std::lock_guard lock{mutex_};
    ++unanswered_;
  }
  loop_.post([this, answer = std::move(answer)] {
    answer();
    finished(1, 0);
  });
}

void batcher::push(job j) {
  {
    const std::lock_guard lock{mutex_};
    ++unanswered_;
    unanswered_bytes_ += j.bytes;
    queue_.push_back(std::move(j));
    if (std::exchange(scheduled_, true))
      return;
  }
  loop_.post([this] { flush(); });
}

bool batcher::closing() const {
  const std::lock_guard lock{mutex_};
  return closing_;
}

void batcher::stop_taking() {
  const std::lock_guard lock{mutex_};
  closing_ = true;
}

void batcher::await_answers() {
  std::unique_lock lock{mutex_};
  idle_.wait(lock, [this] { return unanswered_ == 0; });
}

void batcher::finished(std::size_t jobs, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  unanswered_ -= jobs;
  unanswered_bytes_ -= bytes;
  if (unanswered_ == 0)
    idle_.notify_all();
}

// -- sending ------------------------------------------------------------------

/// Accepts that run together, and their receipts.
struct batcher::accepts {
  std::vector<waiting_accept> jobs;
  std::vector<std::vector<receipt>> receipts;
  std::vector<std::optional<error>> failed;
  std::size_t left = 0;  ///< shards without an answer

  struct place {
    std::size_t job = 0;
    std::size_t nth = 0;
  };

  const arrival& at(place p) const { return jobs[p.job].batch[p.nth]; }

  void take(const std::vector<place>& which, const result<reply>& r) {
    auto got = [&]() -> result<std::vector<seq_no>> {
      if (!r)
        return r.error();
      auto in = read_reply(*r, "accept");
      return in ? read_accept(*in) : in.error();
    }();
    if (got && got->size() != which.size())
      got = malformed("accept");
    for (std::size_t i = 0; i < which.size(); ++i) {
      const auto [job, nth] = which[i];
      if (!got) {
        failed[job] = got.error();
        continue;
      }
      auto& receipt = receipts[job][nth];
      receipt.seq = (*got)[i];
      receipt.fresh = receipt.seq.value != 0;
    }
    if (--left == 0)
      answer();
  }

  void answer() {
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      if (!failed[j]) {
        jobs[j].done(std::move(receipts[j]));
        continue;
      }
      // Some shards may have taken their part; what is repeated of it is seen.
      const bool any = std::any_of(receipts[j].begin(), receipts[j].end(),
                                   [](const receipt& r) { return r.fresh; });
      if (any)
        failed[j]->code = errc::unknown_outcome;
      jobs[j].done(*failed[j]);
    }
  }
};

void batcher::join(std::vector<waiting_accept> all, group& into) {
  auto together = std::make_shared<accepts>();
  std::vector<accepts::place> order;
  for (std::size_t j = 0; j < all.size(); ++j) {
    auto& receipts = together->receipts.emplace_back();
    for (std::size_t n = 0; n < all[j].batch.size(); ++n) {
      order.push_back({j, n});
      receipts.push_back(
          {false, shard_of(all[j].batch[n].key, all[j].shards), {}});
    }
  }
  together->jobs = std::move(all);
  together->failed.resize(together->jobs.size());
  // Stable, so that of two equal ids the one that came first is the fresh one.
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return together->at(a).id < together->at(b).id;
  });
  std::map<shard_id, std::vector<accepts::place>> by_shard;
  for (const auto& p : order)
    by_shard[together->receipts[p.job][p.nth].shard].push_back(p);
  together->left = by_shard.size();
  if (by_shard.empty())
    return together->answer();
  for (auto& [shard, which] : by_shard) {
    std::vector<const arrival*> sorted;
    for (const auto& p : which)
      sorted.push_back(&together->at(p));
    into.push_back({accept_part(shard, sorted),
                    [together, which = std::move(which)](result<reply> r) {
                      together->take(which, r);
                    }});
  }
}

// What waits, in order, up to what one group may have; nothing if none does.
std::optional<batcher::group> batcher::take() {
  std::vector<job> jobs;
  std::size_t bytes = 0;
  {
    const std::lock_guard lock{mutex_};
    while (!queue_.empty() && jobs.size() < limits_.run_parts &&
           bytes < limits_.run_bytes) {
      bytes += queue_.front().bytes;
      jobs.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    scheduled_ = !jobs.empty();
  }
  if (jobs.empty())
    return std::nullopt;
  group parts;
  std::vector<waiting_accept> accepting;
  std::size_t place = 0;
  for (auto& j : jobs) {
    if (auto* a = std::get_if<waiting_accept>(&j.what)) {
      if (accepting.empty())
        place = parts.size();
      accepting.push_back(std::move(*a));
    } else {
      parts.push_back(std::move(std::get<waiting>(j.what)));
    }
  }
  if (!accepting.empty()) {
    group joined;
    join(std::move(accepting), joined);
    parts.insert(parts.begin() + std::ptrdiff_t(place),
                 std::move_iterator{joined.begin()},
                 std::move_iterator{joined.end()});
  }
  at_end(parts, [this, n = jobs.size(), bytes] { finished(n, bytes); });
  return parts;
}

// Calls `then` when all parts have been answered.
void batcher::at_end(group& parts, std::function<void()> then) {
  const auto end = std::shared_ptr<void>{
      nullptr, [then = std::move(then)](void*) { then(); }};
  for (auto& p : parts)
    p.done = [done = std::move(p.done), end](result<reply> r) {
      done(std::move(r));
    };
}

void batcher::flush() {
  // Otherwise the end of a group flushes.
  while (under_way_ < limits_.under_way) {
    auto parts = take();
    if (!parts)
      return;
    send(std::move(*parts));
  }
}

void batcher::send(group all) {
  struct filling {
    std::vector<group> runs;
    std::size_t bytes = 0;  // of the last one
  };
  ++under_way_;
  at_end(all, [this] {
    --under_way_;
    flush();
  });
  std::map<std::optional<shard_id>, filling> routes;
  for (auto& p : all) {
    auto& to = routes[together_ ? std::nullopt : p.what.shard];
    const auto bytes = p.what.bytes;
    if (to.runs.empty() || to.runs.back().size() >= limits_.run_parts ||
        to.bytes + bytes > limits_.run_bytes) {
      to.runs.emplace_back();
      to.bytes = 0;
    }
    to.bytes += bytes;
    to.runs.back().push_back(std::move(p));
  }
  all.clear();
  for (auto& [shard, to] : routes)
    for (auto& run : to.runs)
      send_run(std::move(run));
}

std::string batcher::key_of(const part& p, std::string_view name) const {
  auto key = prefix_;
  if (p.shard)
    key += ':' + std::to_string(p.shard->value);
  return key.append("}:").append(name);
}

// A script call that replicas are waited for waits for more: for what it read
// (see the script's end).
bool batcher::is_plain(const group& run) const {
  return !client_.waits() &&
         std::all_of(run.begin(), run.end(), [](const waiting& w) {
           return !w.what.plain_key.empty();
         });
}

void batcher::send_plain(waiting one) {
  const auto key = key_of(one.what, one.what.plain_key);
  client_.run(key, {"HGETALL", key},
              {.repeatable = true, .timeout = limits_.timeout, .reads = true},
              [done = std::move(one.done)](result<reply> r) {
                if (!r)
                  return done(for_reader(r.error()));
                // As the script's part would answer.
                reply as_part;
                as_part.type = reply::kind::list;
                as_part.items.resize(2);
                as_part.items[0].type = reply::kind::status;
                as_part.items[0].text = "ok";
                as_part.items[1] = std::move(*r);
                done(std::move(as_part));
              });
}

void batcher::send_run(group run) {
  if (is_plain(run)) {
    for (auto& one : run)
      send_plain(std::move(one));
    return;
  }
  std::vector<std::string> keys;
  std::vector<arg> args;
  keys.reserve(run.size());
  args.emplace_back(std::to_string(to_ms(time_.wall())) +
                    (client_.waits() ? " wait" : ""));
  bool writes = false;
  for (auto& p : run) {
    keys.push_back(key_of(p.what, "m"));
    writes = writes || p.what.writes;
    args.emplace_back(std::string{p.what.op});
    args.emplace_back(std::to_string(p.what.args.size()));
    std::move(p.what.args.begin(), p.what.args.end(), std::back_inserter(args));
    p.what.args.clear();
  }
  auto kept = std::make_shared<group>(std::move(run));
  client_.eval(the_script(), std::move(keys), std::move(args),
               {.repeatable = !writes, .timeout = limits_.timeout},
               [kept](result<reply> r) { answer(*kept, std::move(r)); });
}

void batcher::answer(group& run, result<reply> whole) {
  if (whole &&
      (whole->type != reply::kind::list || whole->items.size() != run.size()))
    whole = malformed("a run");
  for (std::size_t i = 0; i < run.size(); ++i) {
    auto done = std::move(run[i].done);
    if (whole)
      done(std::move(whole->items[i]));
    else
      done(run[i].what.writes ? whole.error() : for_reader(whole.error()));
  }
}

}  // namespace troupe::store::redis
