#include <fstream>
#include <iterator>
#include <random>

#include "store/sqlite_db.hpp"
#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

std::string read_all(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write_all(const std::string& path, const std::string& bytes) {
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << bytes;
}

result<std::unique_ptr<backend>> open_at(const std::string& path,
                                         std::uint16_t shards = shard_count) {
  options how;
  how.url = "sqlite:" + path;
  how.shards = shards;
  return store::open(how);
}

// A closed store with some of everything in it.
void make_store(const std::string& path) {
  auto opened = open_at(path);
  if (!opened)
    FAIL(to_string(opened.error()));
  sync_store s{std::move(*opened)};
  const auto key = chat_key::chat(42);
  const auto held = s.claim_one(shard_of_key(key));
  for (int i = 0; i < 200; ++i) {
    auto t = turn_of(key, static_cast<std::uint64_t>(i),
                     accept_one(s, i, key, std::string(200, 'u')));
    t.state = std::string(300, 's');
    t.calls = {call_of(key, {static_cast<std::uint64_t>(i) + 1}, "cart")};
    t.set = {{key, "t" + std::to_string(i), from_ms(i + 1), "{}"}};
    REQUIRE(s.commit(held, {t}).has_value());
  }
  for (int i = 200; i < 300; ++i)
    accept_one(s, i, key, std::string(200, 'u'));
}

// Refused with this code, and the file is what it was, to the byte.
void check_refused(const std::string& path, errc code,
                   std::uint16_t shards = shard_count) {
  const auto before = read_all(path);
  auto opened = open_at(path, shards);
  REQUIRE_FALSE(opened.has_value());
  INFO(to_string(opened.error()));
  CHECK(opened.error().code == code);
  CHECK(opened.error().context.find(path) != std::string::npos);
  CHECK(read_all(path) == before);
}

void run_sql(const std::string& path, const char* sql) {
  auto db = sqlite_db::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  REQUIRE(db.has_value());
  db->exec(sql);
  REQUIRE_FALSE(db->failure().has_value());
}

}  // namespace

TEST_CASE("a url that nobody understands is bad input, without its secrets") {
  for (const std::string url :
       {"", "sqlite", "sqlite:", "sqlite::memory:", "redis://u:secret@host",
        "postgres://u:secret@host", "memory", "secret"}) {
    options how;
    how.url = url;
    auto r = store::open(how);
    INFO(url);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code == errc::bad_input);
    CHECK(to_string(r.error()).find("secret") == std::string::npos);
  }
  options none;
  none.url = "memory:";
  none.shards = 0;
  CHECK(store::open(none).error().code == errc::bad_input);
}

TEST_CASE("a path that can't hold a store is told clearly") {
  temporary_directory dir;
  write_all(dir.file("plain"), "x");
  for (const auto& path :
       {dir.file("missing/store.db"), dir.file("plain/store.db"),
        dir.path().string(), std::string{"/proc/store.db"}}) {
    INFO(path);
    auto r = open_at(path);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code == errc::unavailable);
    CHECK(r.error().context.size() > 10);
  }
  CHECK(read_all(dir.file("plain")) == "x");
}

TEST_CASE("odd characters in a path are just characters") {
  temporary_directory dir;
  const auto path = dir.file("a b?mode=ro#x%41.db");
  make_store(path);
  CHECK(std::filesystem::exists(path));
  CHECK(open_at(path).has_value());
}

TEST_CASE("creating leaves one file, and closing folds the log into it") {
  temporary_directory dir;
  make_store(dir.file("store.db"));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& f :
       std::filesystem::directory_iterator{dir.path()})
    ++files;
  CHECK(files == 1);
}

TEST_CASE("what is not a store of ours is left as it was") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  SECTION("empty") {
    write_all(path, "");
  }
  SECTION("text") {
    write_all(path, "hello, world\n");
  }
  SECTION("random bytes") {
    std::mt19937 random{7};
    std::string bytes(50'000, ' ');
    for (auto& c : bytes)
      c = static_cast<char>(random());
    write_all(path, bytes);
  }
  SECTION("another application's database") {
    run_sql(path, "CREATE TABLE t(x); INSERT INTO t VALUES(1);");
  }
  SECTION("another application's database with a log") {
    run_sql(path, "PRAGMA journal_mode=WAL; CREATE TABLE t(x);");
  }
  SECTION("our header, and nothing behind it") {
    make_store(path);
    write_all(path, read_all(path).substr(0, 100));
  }
  check_refused(path, errc::corrupt);
}

TEST_CASE("another format or shard count is incompatible, and left alone") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  make_store(path);
  check_refused(path, errc::incompatible, shard_count + 1);
  run_sql(path, "PRAGMA user_version=999;");
  check_refused(path, errc::incompatible);
}

TEST_CASE("a store from before named leases were kept gets them") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  make_store(path);
  run_sql(path, "DROP TABLE names;");
  sync_store s{open_at(path).value()};
  const auto took = s.acquire("key", "me", milliseconds{60'000});
  REQUIRE(took.has_value());
  CHECK(took->has_value());
  CHECK(s.claim_one(shard_of_key(chat_key::chat(42))).tail.value > 0);
}

TEST_CASE("a store cut short is corrupt, wherever it was cut") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  make_store(path);
  const auto whole = read_all(path);
  for (std::size_t keep :
       {whole.size() - 1, whole.size() - 4096, whole.size() / 2,
        std::size_t{4096}, std::size_t{700}}) {
    INFO("kept " << keep);
    write_all(path, whole.substr(0, keep));
    check_refused(path, errc::corrupt);
  }
}

TEST_CASE("damage is found or survived: no crash, no endless wait") {
  temporary_directory dir;
  const auto good = dir.file("good.db");
  make_store(good);
  const auto whole = read_all(good);
  const auto key = chat_key::chat(42);
  std::size_t found = 0;
  std::mt19937 random{11};
  for (int round = 0; round < 60; ++round) {
    const auto at = random() % (whole.size() - 64);
    auto bytes = whole;
    for (std::size_t i = at; i < at + 64; ++i)
      bytes[i] = static_cast<char>(bytes[i] ^ 0x5a);
    const auto path = dir.file("bad" + std::to_string(round) + ".db");
    write_all(path, bytes);
    INFO("flipped 64 bytes at " << at);
    auto opened = open_at(path);
    if (!opened) {
      CHECK((opened.error().code == errc::corrupt ||
             opened.error().code == errc::incompatible));
      CHECK(read_all(path) == bytes);
      ++found;
      continue;
    }
    sync_store s{std::move(*opened)};
    for (std::uint16_t i = 0; i < shard_count; ++i) {
      auto read = s.backlog({i});
      CHECK((read || read.error().code == errc::corrupt));
    }
    (void)s.load({key});
    (void)s.outbox(shard_of_key(key));
    auto claimed = s.claim({shard_of_key(key)});
    CHECK((claimed || claimed.error().code == errc::corrupt));
    auto accepted = s.accept({arriving(5000 + round, key)});
    CHECK((accepted || accepted.error().code == errc::corrupt));
  }
  CHECK(found > 5);
}

TEST_CASE("a link to a store leads to it, log and all") {
  temporary_directory dir;
  const auto path = dir.file("real/store.db");
  std::filesystem::create_directory(dir.file("real"));
  make_store(path);
  std::filesystem::create_symlink(path, dir.file("link.db"));
  const auto key = chat_key::chat(42);
  {
    // As a crash leaves it: what came last stands in the log only.
    sync_store s{open_at(dir.file("link.db")).value()};
    for (int i = 1000; i < 1400; ++i)
      accept_one(s, i, key, std::string(200, 'u'));
    CHECK(std::filesystem::file_size(path + "-wal") > 0);
    for (const char* end : {"", "-wal"})
      std::filesystem::copy_file(path + end, dir.file("copy") + end);
  }
  std::filesystem::rename(dir.file("copy"), path);
  std::filesystem::rename(dir.file("copy-wal"), path + "-wal");
  auto opened = open_at(dir.file("link.db"));
  if (!opened)
    FAIL(to_string(opened.error()));
  sync_store s{std::move(*opened)};
  CHECK(s.backlog(shard_of_key(key)).value().size() == 500);
  CHECK(s.stats().bytes > std::filesystem::file_size(path));
}

TEST_CASE("what is refused at the last moment is left as it was, log and all") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  make_store(path);
  run_sql(path, "UPDATE cells SET data = x'01' WHERE id = 0;");
  const auto file = read_all(path);
  std::string log;
  {
    auto db = sqlite_db::open(path, SQLITE_OPEN_READWRITE).value();
    db.exec("UPDATE terms SET term = term + 1;");
    log = read_all(path + "-wal");
    REQUIRE_FALSE(log.empty());
    std::filesystem::copy_file(path + "-wal", dir.file("kept"));
    sqlite3_db_config(db.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                      nullptr);
  }
  write_all(path, file);
  std::filesystem::rename(dir.file("kept"), path + "-wal");
  auto opened = open_at(path);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == errc::corrupt);
  CHECK(read_all(path) == file);
  CHECK(read_all(path + "-wal") == log);
}

TEST_CASE("a second instance is told that the first holds the store (G6)") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  {
    auto first = open_at(path);
    REQUIRE(first.has_value());
    auto second = open_at(path);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == errc::conflict);
    CHECK(second.error().context.find("held by another instance") !=
          std::string::npos);
    sync_store s{std::move(*first)};
    CHECK(accept_one(s, 1, chat_key::chat(1)) == seq_no{1});
  }
  CHECK(open_at(path).has_value());
}

TEST_CASE("of many creators at once one gets the store") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  std::atomic<int> won{0};
  std::atomic<int> lost{0};
  std::vector<std::thread> all;
  std::promise<void> hold;
  auto held = hold.get_future().share();
  for (int i = 0; i < 4; ++i)
    all.emplace_back([&] {
      auto mine = open_at(path);
      if (mine)
        ++won;
      else if (mine.error().code == errc::conflict ||
               mine.error().code == errc::unavailable)
        ++lost;
      held.wait();
    });
  CHECK(eventually([&] { return won + lost == 4; }));
  CHECK(won == 1);
  hold.set_value();
  for (auto& t : all)
    t.join();
  auto after = open_at(path);
  CHECK(after.has_value());
}
