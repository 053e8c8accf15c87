#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/faulty.hpp"
#include "store/store.hpp"
#include "tests/support/catch.hpp"

namespace troupe::store::test {

/// A fresh directory, removed at the end.
class temporary_directory {
 public:
  temporary_directory();
  ~temporary_directory();
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  std::string file(const std::string& name) const {
    return (path_ / name).string();
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Makes a call and waits for its answer; a missing one ends the test.
template <class T, class Call>
result<T> answer_of(Call call) {
  auto promise = std::make_shared<std::promise<result<T>>>();
  auto future = promise->get_future();
  call(callback<T>{
      [promise](result<T> r) { promise->set_value(std::move(r)); }});
  REQUIRE(future.wait_for(std::chrono::seconds{60}) ==
          std::future_status::ready);
  return future.get();
}

/// How long leases last here.
constexpr milliseconds lease_time{3'600'000};

/// A store with every call made synchronous; `must_` forms want success.
class sync_store {
 public:
  explicit sync_store(std::unique_ptr<backend> b) : store_{std::move(b)} {}

  backend& operator*() { return *store_; }
  backend* operator->() { return store_.get(); }

  result<std::vector<receipt>> accept(std::vector<arrival> batch) {
    return answer_of<std::vector<receipt>>(
        [&](auto d) { store_->accept(std::move(batch), d); });
  }
  result<std::vector<lease>> claim(std::vector<shard_id> s,
                                   std::string node = "node") {
    return answer_of<std::vector<lease>>([&](auto d) {
      store_->claim(std::move(s), std::move(node), lease_time, d);
    });
  }
  result<std::vector<node_info>> heartbeat(node_info me,
                                           milliseconds ttl = lease_time) {
    return answer_of<std::vector<node_info>>(
        [&](auto d) { store_->heartbeat(std::move(me), ttl, d); });
  }
  result<> leave(std::string name) {
    return answer_of<void>([&](auto d) { store_->leave(std::move(name), d); });
  }
  result<std::optional<grant>> acquire(std::string name, std::string holder,
                                       milliseconds ttl = lease_time) {
    return answer_of<std::optional<grant>>([&](auto d) {
      store_->acquire(std::move(name), std::move(holder), ttl, d);
    });
  }
  result<> relinquish(std::string name, std::string holder) {
    return answer_of<void>([&](auto d) {
      store_->relinquish(std::move(name), std::move(holder), d);
    });
  }
  result<std::vector<lease>> renew(std::vector<lease> l) {
    return answer_of<std::vector<lease>>(
        [&](auto d) { store_->renew(std::move(l), lease_time, d); });
  }
  result<> release(std::vector<lease> l) {
    return answer_of<void>([&](auto d) { store_->release(std::move(l), d); });
  }
  result<std::vector<entry>> backlog(shard_id s, seq_no after = {},
                                     std::size_t limit = 1'000'000) {
    return answer_of<std::vector<entry>>(
        [&](auto d) { store_->backlog(s, after, limit, d); });
  }
  result<std::vector<entry>> entries(shard_id s, std::vector<seq_no> w) {
    return answer_of<std::vector<entry>>(
        [&](auto d) { store_->entries(s, std::move(w), d); });
  }
  result<std::vector<chat_record>> load(std::vector<chat_key> k) {
    return answer_of<std::vector<chat_record>>(
        [&](auto d) { store_->load(std::move(k), d); });
  }
  chat_record load_one(chat_key k) { return load({k}).value().at(0); }
  result<std::vector<turn_receipt>> commit(lease l, std::vector<turn> t) {
    return answer_of<std::vector<turn_receipt>>(
        [&](auto d) { store_->commit(l, std::move(t), d); });
  }
  result<std::vector<call>> outbox(shard_id s, call_id after = {},
                                   std::size_t limit = 1'000'000) {
    return answer_of<std::vector<call>>(
        [&](auto d) { store_->outbox(s, after, limit, d); });
  }
  result<std::vector<call>> calls(shard_id s, std::vector<call_id> w) {
    return answer_of<std::vector<call>>(
        [&](auto d) { store_->calls(s, std::move(w), d); });
  }
  result<std::vector<std::optional<entry>>> settle(lease l,
                                                   std::vector<settlement> o) {
    return answer_of<std::vector<std::optional<entry>>>(
        [&](auto d) { store_->settle(l, std::move(o), d); });
  }
  result<std::vector<spending>> spent(wall_time since) {
    return answer_of<std::vector<spending>>(
        [&](auto d) { store_->spent(since, d); });
  }
  result<backend::due_timers> due(std::vector<shard_id> s, wall_time now,
                                  std::size_t limit = 1'000'000) {
    return answer_of<backend::due_timers>(
        [&](auto d) { store_->due(std::move(s), now, limit, d); });
  }
  result<std::vector<timer>> timers(chat_key k) {
    return answer_of<std::vector<timer>>([&](auto d) { store_->timers(k, d); });
  }
  result<std::vector<dead_letter>> dead_letters(dead_letter_id after = {},
                                                std::size_t limit = 1'000'000) {
    return answer_of<std::vector<dead_letter>>(
        [&](auto d) { store_->dead_letters(after, limit, d); });
  }
  result<std::vector<entry>> retry(std::vector<dead_letter_id> w) {
    return answer_of<std::vector<entry>>(
        [&](auto d) { store_->retry(std::move(w), d); });
  }
  result<std::size_t> drop(std::vector<dead_letter_id> w) {
    return answer_of<std::size_t>(
        [&](auto d) { store_->drop(std::move(w), d); });
  }
  result<std::vector<member>> audience(std::optional<chat_key> after = {},
                                       std::size_t limit = 1'000'000) {
    return answer_of<std::vector<member>>(
        [&](auto d) { store_->audience(after, limit, d); });
  }
  result<std::size_t> tag(std::vector<chat_key> whom, std::string name,
                          bool add) {
    return answer_of<std::size_t>(
        [&](auto d) { store_->tag(std::move(whom), std::move(name), add, d); });
  }
  result<holdings> about(chat_key k) {
    return answer_of<holdings>([&](auto d) { store_->about(k, d); });
  }
  result<holdings> forget(lease l, chat_key k, seq_no through) {
    return answer_of<holdings>(
        [&](auto d) { store_->forget(l, k, through, d); });
  }
  std::vector<campaign_tally> tallies(std::vector<std::uint64_t> of) {
    return answer_of<std::vector<campaign_tally>>(
               [&](auto d) { store_->tallies(std::move(of), d); })
        .value();
  }
  figures stats() {
    return answer_of<figures>([&](auto d) { store_->stats(d); }).value();
  }

  lease claim_one(shard_id s, std::string node = "node") {
    auto l = claim({s}, std::move(node)).value();
    REQUIRE(l.size() == 1);
    return l[0];
  }

 private:
  std::unique_ptr<backend> store_;
};

/// Time that tests move; unlike `manual_clock` it may be read meanwhile.
class test_clock final : public clock {
 public:
  wall_time wall() const noexcept override { return from_ms(ms_.load()); }
  mono_time mono() const noexcept override {
    return mono_time{milliseconds{ms_.load()}};
  }
  void advance(milliseconds by) {
    ms_ += by.count();
    if (on_advance)
      on_advance(by);
  }

  /// For stores that leave the time to somebody else.
  std::function<void(milliseconds)> on_advance;

 private:
  std::atomic<std::int64_t> ms_{1'700'000'000'000};
};

constexpr std::uint16_t shard_count = 16;

/// The kinds of store that the contract is held against; those on a server if
/// it is installed.
std::vector<std::string> all_kinds();

/// A store of one kind with its clock and directory.
class store_fixture {
 public:
  explicit store_fixture(std::string kind);
  sync_store& operator*() { return *store_; }
  sync_store* operator->() { return store_.get(); }

  bool redis() const { return kind_.find("redis") != std::string::npos; }
  bool postgres() const { return kind_.find("postgres") != std::string::npos; }
  bool server() const { return redis() || postgres(); }
  bool durable() const { return kind_.find("memory") == std::string::npos; }
  /// True if it says that nobody else can hold its leases.
  bool exclusive() const {
    return !server() && kind_.find("shared") == std::string::npos;
  }
  /// Lets so much time pass for leases.
  void pass(milliseconds by);
  /// By so much the time of leases may be off: on a server it passes by itself.
  milliseconds moment() const {
    return server() ? lease_time / 4 : milliseconds{1};
  }
  /// What is over is over at most so much later than it says.
  milliseconds slack() const {
    return redis() ? milliseconds{std::chrono::hours{2}} : milliseconds{0};
  }
  /// Closes and opens again; does nothing to a store that forgets.
  void reopen();
  /// True if the text stands anywhere where the store keeps what it has: bytes
  /// of files, keys and values, columns. Closes and opens again.
  bool holds_text(const std::string& text);

  test_clock time;

 private:
  std::unique_ptr<backend> make();

  temporary_directory dir_;
  std::string kind_;
  std::string bot_;  ///< on a server: which store there
  std::unique_ptr<sync_store> store_;
};

inline shard_id shard_of_key(chat_key k) {
  return shard_of(k, shard_count);
}

arrival arriving(std::int64_t id, chat_key key, std::string body = "{}");

/// Accepts one update; its sequence.
seq_no accept_one(sync_store& s, std::int64_t id, chat_key key,
                  std::string body = "{}");

turn turn_of(chat_key key, std::uint64_t version, seq_no seq);

call call_of(chat_key from, call_id id, std::string label = "");

settlement settled(const call& c, call_outcome how,
                   std::int64_t message_id = 0);

/// A chat key of the given shard.
chat_key key_in(shard_id s, int nth = 0);

/// Waits (generously) until `condition` holds.
template <class Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(milliseconds{20});
  }
  return true;
}

}  // namespace troupe::store::test

/// Opens a test case: runs it once per kind of store, as `s`.
#define TROUPE_EACH_STORE()                                                 \
  const auto kind = GENERATE(from_range(troupe::store::test::all_kinds())); \
  INFO("store: " << kind);                                                  \
  troupe::store::test::store_fixture fixture{kind};                         \
  auto& s = *fixture
