#include <benchmark/benchmark.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store/store.hpp"

// What an update's life costs the store: accept, commit (300 bytes of state and
// one call), settle. `group` updates are in flight together, each as calls of
// its own. `writer_us` is CPU of the store's thread per update. On a server, if
// TROUPE_BENCH_STORE_URL names one (redis://, postgresql://); its own CPU is
// not in that.
namespace {

using namespace troupe;
using namespace troupe::store;

constexpr std::uint16_t shards = 128;
constexpr std::size_t chats = 20'000;

double thread_cpu_us() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 +
         static_cast<double>(t.tv_nsec) / 1e3;
}

// Counts answers down to nothing.
class latch {
 public:
  explicit latch(std::size_t n) : left_{n} {}
  void down() {
    std::lock_guard lock{mutex_};
    if (--left_ == 0)
      done_.notify_one();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    done_.wait(lock, [&] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t left_;
};

template <class T>
void must(const result<T>& r) {
  if (!r) {
    std::fprintf(stderr, "%s\n", to_string(r.error()).c_str());
    std::abort();
  }
}

class life {
 public:
  life(const std::string& url, bool full) {
    options how;
    how.url = url;
    how.shards = shards;
    how.synchronous_full = full;
    how.bot =
        "bench_" + std::to_string(::getpid()) + "_" + std::to_string(++stores_);
    how.allow_volatile = true;
    store_ = store::open(how).value();
    std::vector<shard_id> all;
    for (std::uint16_t i = 0; i < shards; ++i)
      all.push_back({i});
    latch claimed{1};
    store_->claim(all, "bench", milliseconds{2000},
                  [&](result<std::vector<lease>> r) {
                    must(r);
                    leases_ = *r;
                    claimed.down();
                  });
    claimed.wait();
  }

  void round(std::size_t group) {
    std::vector<chat_key> keys;
    std::vector<seq_no> seqs(group);
    for (std::size_t i = 0; i < group; ++i)
      keys.push_back(chat_key::chat(
          static_cast<std::int64_t>(1 + (place_ += 7919) % chats)));
    const auto at = system_clock().wall();
    latch accepted{group};
    for (std::size_t i = 0; i < group; ++i)
      store_->accept({{{++update_}, keys[i], update_body_, at}},
                     [&, i](result<std::vector<receipt>> r) {
                       must(r);
                       seqs[i] = r->front().seq;
                       accepted.down();
                     });
    accepted.wait();

    latch committed{group};
    const auto first_call = call_;
    for (std::size_t i = 0; i < group; ++i) {
      turn t;
      t.key = keys[i];
      t.seq = seqs[i];
      t.version = versions_[static_cast<std::size_t>(keys[i].id)]++;
      t.state = state_;
      call c;
      c.id = {++call_};
      c.from = c.to = keys[i];
      c.method = "sendMessage";
      c.body = call_body_;
      c.at = at;
      t.calls.push_back(std::move(c));
      std::vector<turn> turns;
      turns.push_back(std::move(t));
      store_->commit(lease_of(keys[i]), std::move(turns),
                     [&](result<std::vector<turn_receipt>> r) {
                       must(r);
                       committed.down();
                     });
    }
    committed.wait();

    latch settled{group};
    for (std::size_t i = 0; i < group; ++i) {
      settlement s;
      s.id = {first_call + i + 1};
      s.from = s.to = keys[i];
      s.spent_at = at;
      s.spent = 1;
      store_->settle(lease_of(keys[i]), {s},
                     [&](result<std::vector<std::optional<entry>>> r) {
                       must(r);
                       settled.down();
                     });
    }
    settled.wait();
  }

  /// CPU that the store's thread has used.
  double writer_us() {
    double us = 0;
    latch asked{1};
    store_->load({}, [&](result<std::vector<chat_record>>) {
      us = thread_cpu_us();
      asked.down();
    });
    asked.wait();
    return us;
  }

  figures sizes() {
    figures f;
    latch asked{1};
    store_->stats([&](result<figures> r) {
      f = r.value();
      asked.down();
    });
    asked.wait();
    return f;
  }

 private:
  const lease& lease_of(const chat_key& key) const {
    return leases_[shard_of(key, shards).value];
  }

  static inline unsigned stores_ = 0;

  std::unique_ptr<backend> store_;
  std::vector<lease> leases_;
  std::vector<std::uint64_t> versions_ =
      std::vector<std::uint64_t>(chats + 1, 0);
  std::size_t place_ = 0;
  std::int64_t update_ = 100'000'000;
  std::uint64_t call_ = std::uint64_t{1} << 32;
  payload update_body_ = make_payload(std::string(400, 'u'));
  payload call_body_ = make_payload(std::string(120, 'c'));
  std::string state_ = std::string(300, 's');
};

std::string fresh_directory() {
  std::string pattern = "/tmp/troupe-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr)
    std::abort();
  return pattern;
}

void report(benchmark::State& state, life& l, double writer,
            std::size_t group) {
  const auto updates =
      static_cast<double>(state.iterations()) * static_cast<double>(group);
  state.SetItemsProcessed(static_cast<std::int64_t>(updates));
  state.counters["writer_us"] = (l.writer_us() - writer) / updates;
  const auto f = l.sizes();
  state.counters["file_mb"] = static_cast<double>(f.bytes) / 1e6;
  state.counters["free_mb"] = static_cast<double>(f.free_bytes) / 1e6;
}

void sqlite(benchmark::State& state) {
  const auto dir = fresh_directory();
  {
    const auto group = static_cast<std::size_t>(state.range(0));
    life l{"sqlite:" + dir + "/store.db", state.range(1) != 0};
    l.round(512);
    const auto writer = l.writer_us();
    for (auto _ : state)
      l.round(group);
    report(state, l, writer, group);
  }
  std::filesystem::remove_all(dir);
}
BENCHMARK(sqlite)
    ->ArgNames({"group", "full"})
    ->ArgsProduct({{1, 8, 64, 512}, {1, 0}})
    ->UseRealTime();

void memory(benchmark::State& state) {
  const auto group = static_cast<std::size_t>(state.range(0));
  life l{"memory:", false};
  const auto writer = l.writer_us();
  for (auto _ : state)
    l.round(group);
  report(state, l, writer, group);
}
BENCHMARK(memory)->ArgName("group")->Arg(1)->Arg(64)->UseRealTime();

void server(benchmark::State& state) {
  const char* url = std::getenv("TROUPE_BENCH_STORE_URL");
  if (url == nullptr)
    return state.SkipWithError("TROUPE_BENCH_STORE_URL is not set");
  const auto group = static_cast<std::size_t>(state.range(0));
  life l{url, true};
  l.round(512);
  const auto writer = l.writer_us();
  for (auto _ : state)
    l.round(group);
  report(state, l, writer, group);
}
BENCHMARK(server)
    ->ArgName("group")
    ->RangeMultiplier(8)
    ->Range(1, 512)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
