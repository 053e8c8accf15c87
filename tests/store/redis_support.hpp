#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/redis_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/redis_server.hpp"

/// What the tests of the Redis client share.
namespace troupe::store::redis::testing {

using namespace std::chrono_literals;
using redis_test::eventually;
using redis_test::have_redis;
using redis_test::redis_cluster;
using redis_test::redis_sentinels;
using redis_test::redis_server;
using client_ptr = std::unique_ptr<client>;

/// Where all clients of the tests live.
inline net::loop& shared_loop() {
  static net::loop only;
  return only;
}

inline result<client_ptr> try_open(const std::string& url,
                                   client_options options = {}) {
  auto where = parse_url(url);
  if (!where)
    FAIL(to_string(where.error()));
  return client::open(std::move(*where), options, shared_loop());
}

inline client_ptr open_at(const std::string& url, client_options options = {}) {
  options.connect_timeout = 60s;  // this machine may be busy
  auto made = try_open(url, options);
  if (!made)
    FAIL(to_string(made.error()));
  return std::move(*made);
}

/// Makes a call and waits for its answer.
template <class T>
result<T> wait_for(const std::function<void(async::callback<T>)>& call) {
  auto promise = std::make_shared<std::promise<result<T>>>();
  auto answer = promise->get_future();
  call([promise](result<T> r) { promise->set_value(std::move(r)); });
  REQUIRE(answer.wait_for(120s) == std::future_status::ready);
  return answer.get();
}

inline result<reply> run(client& by, std::string_view route,
                         std::vector<std::string> words,
                         how terms = {.timeout = 60s}) {
  return wait_for<reply>([&](auto done) {
    by.run(route, std::move(words), terms, std::move(done));
  });
}

inline result<reply> eval(client& by, const script& code,
                          std::vector<std::string> keys, std::vector<arg> args,
                          how terms = {.timeout = 60s}) {
  return wait_for<reply>([&](auto done) {
    by.eval(code, std::move(keys), std::move(args), terms, std::move(done));
  });
}

/// The text or number of an answer, or the error's words.
inline std::string said(const result<reply>& got) {
  if (!got)
    return to_string(got.error());
  return got->type == reply::kind::integer ? std::to_string(got->number)
                                           : got->text;
}

/// Counts how commands ended; each must do so once.
class tally {
 public:
  explicit tally(std::size_t size) : ends_(size) {}

  async::callback<reply> of(std::size_t i) {
    return [this, i](result<reply> got) {
      const auto was = ends_[i].exchange(
          got                                         ? ok
          : got.error().code == errc::unknown_outcome ? unknown
          : got.error().code == errc::unavailable     ? unavailable
                                                      : other);
      if (was != none)
        ++twice_;
      if (!got) {
        const std::lock_guard lock{mutex_};
        last_error_ = to_string(got.error());
      }
      ++all_;
    };
  }

  enum end : int { none, ok, unknown, unavailable, other };
  end at(std::size_t i) const { return static_cast<end>(ends_[i].load()); }
  std::size_t count(end what) const {
    std::size_t n = 0;
    for (const auto& one : ends_)
      n += one.load() == what ? 1 : 0;
    return n;
  }
  std::size_t answered() const { return all_; }
  bool complete() const { return all_ == ends_.size(); }
  std::size_t twice() const { return twice_; }
  std::string last_error() const {
    const std::lock_guard lock{mutex_};
    return last_error_;
  }

 private:
  std::vector<std::atomic<int>> ends_;
  std::atomic<std::size_t> all_{0}, twice_{0};
  mutable std::mutex mutex_;
  std::string last_error_;
};

/// Remembers in the hash KEYS[1] how often each ARGV[1] was done.
inline const script& mark() {
  static const script code{"return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)"};
  return code;
}

}  // namespace troupe::store::redis::testing
