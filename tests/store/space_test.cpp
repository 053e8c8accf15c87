#include <map>
#include <system_error>

#include "store/sqlite_db.hpp"
#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

std::uint64_t size_of(const std::string& path) {
  std::error_code ec;
  const auto n = std::filesystem::file_size(path, ec);
  return ec ? 0 : n;
}

// A constant load: few chats, everything committed and settled at once.
class load {
 public:
  load(sync_store& s, std::uint16_t shards) : s_{s} {
    std::vector<shard_id> all;
    for (std::uint16_t i = 0; i < shards; ++i)
      all.push_back({i});
    for (const auto& l : s_.claim(all).value())
      leases_[l.shard] = l;
  }

  void run(int updates) {
    std::vector<arrival> batch;
    for (int i = 0; i < updates; ++i) {
      const auto id = ++last_id_;
      batch.push_back(
          arriving(id, chat_key::chat(1 + id % 200), std::string(400, 'u')));
    }
    const auto receipts = s_.accept(batch).value();
    std::map<shard_id, std::vector<turn>> turns;
    std::map<shard_id, std::vector<settlement>> ends;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto key = batch[i].key;
      auto t = turn_of(key, versions_[key]++, receipts[i].seq);
      t.state = std::string(300, 's');
      t.calls = {call_of(key, {++last_call_})};
      ends[receipts[i].shard].push_back(
          settled(t.calls[0], call_outcome::sent, 1));
      turns[receipts[i].shard].push_back(std::move(t));
    }
    for (auto& [shard, some] : turns)
      REQUIRE(s_.commit(leases_.at(shard), some).has_value());
    for (auto& [shard, some] : ends)
      REQUIRE(s_.settle(leases_.at(shard), some).has_value());
  }

 private:
  sync_store& s_;
  std::map<shard_id, lease> leases_;
  std::map<chat_key, std::uint64_t> versions_;
  std::int64_t last_id_ = 0;
  std::uint64_t last_call_ = 0;
};

}  // namespace

TEST_CASE("under constant load neither the file nor its log grows") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  options how;
  how.url = "sqlite:" + path;
  how.shards = shard_count;
  how.synchronous_full = false;
  constexpr int updates = 50'000;
  std::uint64_t most = 0;
  std::uint64_t early = 0;
  {
    sync_store s{store::open(how).value()};
    load l{s, shard_count};
    for (int i = 0; i < updates / 500; ++i) {
      l.run(500);
      most = std::max(most, size_of(path) + size_of(path + "-wal"));
      if (i == 20)
        early = size_of(path);
    }
    const auto f = s.stats();
    CHECK((f.journal == 0 && f.outbox == 0 && f.chats == 200));
    CHECK(f.bytes == size_of(path) + size_of(path + "-wal"));
  }
  INFO("most " << most << ", early " << early << ", end " << size_of(path));
  CHECK(most < (24U << 20));
  CHECK(size_of(path) < early + (1U << 20));
  // What is left is the chats and the memory of 50,000 update ids.
  auto db = sqlite_db::open(path, SQLITE_OPEN_READONLY).value();
  const auto used = db.integer(
      "SELECT sum(pgsize) FROM dbstat "
      "WHERE name = 'seen'");
  if (!db.failure())  // dbstat is a build option of SQLite
    CHECK(used <= 16 * updates);
  db.clear();
  CHECK(db.integer("SELECT count(*) * 540 FROM seen") <= 16 * updates);
}

TEST_CASE("forgotten blocks of update ids give their space back") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  test_clock time;
  options how{"sqlite:" + path, shard_count, &time, false};
  sync_store s{store::open(how).value()};
  // Each id in a block of its own: the worst case.
  std::vector<arrival> sparse;
  for (std::int64_t i = 0; i < 1000; ++i)
    sparse.push_back(arriving(i * 5000, chat_key::chat(1)));
  REQUIRE(s.accept(sparse).has_value());
  const auto free_before = s.stats().free_bytes;
  time.advance(dedup_window + std::chrono::hours{1});
  CHECK(
      eventually([&] { return s.stats().free_bytes > free_before + 400'000; }));
  CHECK(s.accept({sparse[7]}).value().at(0).fresh);
}

TEST_CASE("expired states and lone records are swept", "[contract]") {
  TROUPE_EACH_STORE();
  if (fixture.redis())
    return;  // Redis ends its keys by itself: redis_space_test.cpp
  const auto lone = chat_key::lone({9});
  const auto chat = chat_key::chat(42);
  for (const auto& key : {lone, chat}) {
    const auto held = s.claim_one(shard_of_key(key));
    auto t = turn_of(key, 0, accept_one(s, key.id, key));
    t.state = std::string(100, 's');
    if (key == chat)
      t.expires = fixture.time.wall() + milliseconds{1};
    REQUIRE(s.commit(held, {t}).has_value());
  }
  CHECK(s.stats().chats == 2);
  fixture.time.advance(dedup_window + std::chrono::hours{1});
  // The update that named no chat never comes again: its record goes.
  CHECK(eventually([&] { return s.stats().chats == 1; }));
  // Of the other the state goes; the record stays, with its version.
  CHECK(eventually([&] { return !s.load_one(chat).expired; }));
  const auto r = s.load_one(chat);
  CHECK((r.version == 1 && r.state.empty()));
}
