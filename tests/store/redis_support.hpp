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
  enum end : int { none, ok, unknown, unavailable, other };

  explicit tally(std::size_t size) : of_{std::make_shared<state>(size)} {}

  async::callback<reply> of(std::size_t i) {
    return [to = of_, i](result<reply> got) { to->take(i, got); };
  }

  end at(std::size_t i) const { return static_cast<end>(of_->ends[i].load()); }
  std::size_t count(end what) const {
    std::size_t n = 0;
    for (const auto& one : of_->ends)
      n += one.load() == what ? 1 : 0;
    return n;
  }
  std::size_t answered() const { return of_->all; }
  bool complete() const { return of_->all >= of_->ends.size(); }
  /// Answers beyond the first.
  std::size_t twice() const { return of_->twice; }
  std::string last_error() const {
    const std::lock_guard lock{of_->mutex};
    return of_->last_error;
  }

 private:
  struct state {
    explicit state(std::size_t size) : ends(size) {}

    void take(std::size_t i, const result<reply>& got) {
      const auto how = got                                         ? ok
                       : got.error().code == errc::unknown_outcome ? unknown
                       : got.error().code == errc::unavailable     ? unavailable
                                                                   : other;
      if (!got) {
        const std::lock_guard lock{mutex};
        last_error = to_string(got.error());
      }
      if (ends[i].exchange(how) != none)
        ++twice;
      else
        ++all;
    }

    std::vector<std::atomic<int>> ends;
    std::atomic<std::size_t> all{0}, twice{0};
    mutable std::mutex mutex;
    std::string last_error;
  };

  std::shared_ptr<state> of_;  // answers may come after a failed test's end
};

/// Remembers in the hash KEYS[1] how often each ARGV[1] was done.
inline const script& mark() {
  static const script code{"return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)"};
  return code;
}

}  // namespace troupe::store::redis::testing
