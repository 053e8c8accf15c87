#include <signal.h>
#include <sys/resource.h>

#include <system_error>

#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

// No file of this process may grow past `bytes` while this lives: what the
// disk refuses then, it refuses in the middle of a write.
class file_size_limit {
 public:
  explicit file_size_limit(rlim_t bytes) {
    before_signal_ = ::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    auto now = before_;
    now.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &now) == 0);
  }
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, before_signal_);
  }
  file_size_limit(const file_size_limit&) = delete;
  file_size_limit& operator=(const file_size_limit&) = delete;

 private:
  rlimit before_{};
  void (*before_signal_)(int) = nullptr;
};

}  // namespace

TEST_CASE("a full disk is unavailable, loses nothing, and may recover (G1)") {
  temporary_directory dir;
  options how;
  how.url = "sqlite:" + dir.file("store.db");
  how.shards = shard_count;
  const auto key = chat_key::chat(42);
  const auto shard = shard_of_key(key);
  std::uint64_t good = 0;
  {
    sync_store s{store::open(how).value()};
    const auto held = s.claim_one(shard);
    std::int64_t id = 0;
    {
      file_size_limit full{512 * 1024};
      errc code{};
      while (code == errc{} && id < 10'000) {
        auto r = s.accept({arriving(++id, key, std::string(2000, 'u'))});
        if (r)
          ++good;
        else
          code = r.error().code;
      }
      CHECK(code == errc::unavailable);
      CHECK(good > 10);
      // It goes on saying so, and reading works.
      CHECK(s.accept({arriving(id, key, std::string(20'000, 'u'))})
                .error()
                .code == errc::unavailable);
      CHECK(
          s.commit(held, {turn_of(key, 0, {good + 1})}).value().at(0).outcome ==
          turn_receipt::status::stale);
      CHECK(s.stats().journal == good);
      CHECK(s.renew({held}).value().at(0).tail == seq_no{good});
    }
    // Room again: the refused update is fresh, and takes the next sequence.
    auto r = s.accept({arriving(id, key)}).value();
    CHECK(r.at(0).fresh);
    CHECK(r.at(0).seq == seq_no{++good});
    CHECK(s.commit(held, {turn_of(key, 0, {1})}).value().at(0).outcome ==
          turn_receipt::status::committed);
  }
  sync_store s{store::open(how).value()};
  const auto log = s.backlog(shard).value();
  REQUIRE(log.size() == good - 1);
  CHECK(log.front().seq == seq_no{2});
  CHECK(log.back().seq == seq_no{good});
}
