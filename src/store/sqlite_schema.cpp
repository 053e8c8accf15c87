#include "store/sqlite_schema.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace troupe::store {

namespace fs = std::filesystem;

namespace {

// Files up to this size are checked page by page at opening (about 0.2 s).
constexpr std::uintmax_t checked_whole = std::uintmax_t{32} << 20;

// Keys are two columns: kt, the kind, and kid, the number. A journal id is
// shard << 48 | sequence. Times are ms since the epoch; 0 is "never".
// Bodies stand last, so that the other columns are read without them.
constexpr const char* tables = R"sql(
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cells(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE terms(shard INTEGER PRIMARY KEY, term INTEGER NOT NULL);
CREATE TABLE seen(block INTEGER PRIMARY KEY, touched INTEGER NOT NULL,
  bits BLOB NOT NULL);
CREATE TABLE journal(id INTEGER PRIMARY KEY, type INTEGER NOT NULL,
  kt INTEGER NOT NULL, kid INTEGER NOT NULL, uid INTEGER NOT NULL,
  at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE chats(kt INTEGER NOT NULL, kid INTEGER NOT NULL,
  version INTEGER NOT NULL, expires INTEGER NOT NULL, mode BLOB NOT NULL,
  memo BLOB NOT NULL, labels BLOB NOT NULL, state BLOB NOT NULL,
  PRIMARY KEY(kt, kid)) WITHOUT ROWID;
CREATE TABLE outbox(shard INTEGER NOT NULL, id INTEGER NOT NULL,
  kt INTEGER NOT NULL, kid INTEGER NOT NULL, to_kt INTEGER NOT NULL,
  to_kid INTEGER NOT NULL, flags INTEGER NOT NULL, at INTEGER NOT NULL,
  method BLOB NOT NULL, label BLOB NOT NULL, target BLOB NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY(shard, id)) WITHOUT ROWID;
CREATE TABLE timers(kt INTEGER NOT NULL, kid INTEGER NOT NULL,
  name BLOB NOT NULL, shard INTEGER NOT NULL, due INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY(kt, kid, name)) WITHOUT ROWID;
CREATE INDEX timers_due ON timers(shard, due);
CREATE TABLE spending(at INTEGER NOT NULL, kt INTEGER NOT NULL,
  kid INTEGER NOT NULL, messages INTEGER NOT NULL,
  PRIMARY KEY(at, kt, kid)) WITHOUT ROWID;
CREATE TABLE dead(id INTEGER PRIMARY KEY AUTOINCREMENT,
  shard INTEGER NOT NULL, type INTEGER NOT NULL, kt INTEGER NOT NULL,
  kid INTEGER NOT NULL, uid INTEGER NOT NULL, accepted INTEGER NOT NULL,
  died INTEGER NOT NULL, error BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE audience(kt INTEGER NOT NULL, kid INTEGER NOT NULL,
  status INTEGER NOT NULL, language BLOB NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY(kt, kid)) WITHOUT ROWID;
)sql";

// What came later, and is missing in older files. An older build does not look
// at it, so that the format is the same.
constexpr const char* later_tables = R"sql(
CREATE TABLE IF NOT EXISTS names(name BLOB PRIMARY KEY, till INTEGER NOT NULL,
  token INTEGER NOT NULL, holder BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS names_till ON names(till);
CREATE TABLE IF NOT EXISTS tallies(campaign INTEGER PRIMARY KEY,
  sent INTEGER NOT NULL, failed INTEGER NOT NULL, blocked INTEGER NOT NULL,
  unknown INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tags(kt INTEGER NOT NULL, kid INTEGER NOT NULL,
  tags BLOB NOT NULL, PRIMARY KEY(kt, kid)) WITHOUT ROWID;
)sql";

error cannot(const std::string& what, int code) {
  return {
      errc::unavailable,
      what + ": " + std::error_code{code, std::generic_category()}.message()};
}

error held(const std::string& path) {
  return {errc::conflict, path + " is held by another instance"};
}

// -- what can be told from the bytes alone ------------------------------------

std::uint32_t big_endian(const unsigned char* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 |
         std::uint32_t{p[2]} << 8 | std::uint32_t{p[3]};
}

// Offsets are those of the SQLite file format, section 1.3. Application and
// version are in the file itself from its first moment (see `create`), never
// only in its log.
result<> check_header(const std::string& path) {
  std::array<unsigned char, 100> h{};
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return cannot("can't read " + path, errno);
  in.read(reinterpret_cast<char*>(h.data()), h.size());
  if (in.gcount() != static_cast<std::streamsize>(h.size()) ||
      std::memcmp(h.data(), "SQLite format 3", 16) != 0)
    return error{errc::corrupt, path + " is not a database"};
  if (big_endian(&h[68]) != sqlite_application)
    return error{errc::corrupt, path + " is a database of another application"};
  if (const auto format = big_endian(&h[60]); format != sqlite_format)
    return error{errc::incompatible, path + " has format " +
                                         std::to_string(format) +
                                         "; this build reads format " +
                                         std::to_string(sqlite_format)};
  return {};
}

// Read through the log and under the lock: after a crash in the middle of a
// checkpoint the file alone makes no sense.
result<> check_shards_of(sqlite_db& db, const std::string& path,
                         std::uint16_t shards) {
  const auto there = db.integer("SELECT value FROM meta WHERE name = 'shards'");
  if (db.failure())
    return error{errc::corrupt, path + ": " + db.failure()->context};
  if (there < 1 || there > 65535)
    return error{errc::corrupt, path + " names no shard count"};
  if (there != shards)
    return error{errc::incompatible,
                 path + " was created with " + std::to_string(there) +
                     " shards, not " + std::to_string(shards)};
  return {};
}

// -- creating -----------------------------------------------------------------

result<> sync_directory(const fs::path& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return cannot("can't open " + dir.string(), errno);
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failed != 0)
    return cannot("can't sync " + dir.string(), failed);
  return {};
}

result<> fill_new(const std::string& path, std::uint16_t shards) {
  auto db = sqlite_db::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!db)
    return db.error();
  db->exec("PRAGMA page_size=4096");
  db->exec("PRAGMA auto_vacuum=NONE");
  db->exec("BEGIN EXCLUSIVE");
  db->exec(
      ("PRAGMA application_id=" + std::to_string(sqlite_application)).c_str());
  db->exec(("PRAGMA user_version=" + std::to_string(sqlite_format)).c_str());
  db->exec(tables);
  db->exec(("INSERT INTO meta VALUES('shards'," + std::to_string(shards) + ")")
               .c_str());
  db->exec("COMMIT");
  if (db->failure())
    return *db->failure();
  return {};
}

// Made aside and linked into place, so that a crash leaves no half store and
// of two creators one wins.
result<> create(const std::string& path, std::uint16_t shards) {
  static std::atomic<unsigned> creations{0};
  const auto aside = path + ".new-" + std::to_string(::getpid()) + "-" +
                     std::to_string(++creations);
  std::error_code ignored;
  fs::remove(aside, ignored);  // of a crashed process with our number
  auto ok = fill_new(aside, shards);
  if (ok && ::link(aside.c_str(), path.c_str()) != 0 && errno != EEXIST)
    ok = cannot("can't create " + path, errno);
  fs::remove(aside, ignored);
  if (!ok)
    return error{ok.error().code,
                 "can't create " + path + ": " + ok.error().context};
  return sync_directory(fs::path{path}.parent_path());
}

// -- opening ------------------------------------------------------------------

result<> check_path(const std::string& path) {
  const auto dir = fs::path{path}.parent_path();
  struct stat is {};
  if (::stat(dir.c_str(), &is) != 0)
    return cannot("directory " + dir.string(), errno);
  if (!S_ISDIR(is.st_mode))
    return error{errc::unavailable, dir.string() + " is not a directory"};
  if (::stat(path.c_str(), &is) == 0 && !S_ISREG(is.st_mode))
    return error{errc::unavailable, path + " is not a file"};
  return {};
}

// What stopped us, said for the file; somebody's lock is a conflict.
error refusal(const sqlite_db& db, const std::string& path) {
  const int code = sqlite3_errcode(db.handle()) & 0xff;
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    return held(path);
  return {db.failure()->code, path + ": " + db.failure()->context};
}

// The lock is taken by the first read and kept: after it the file is ours.
result<> lock_and_verify(sqlite_db& db, const std::string& path) {
  db.exec("PRAGMA locking_mode=EXCLUSIVE");
  const auto pages = db.integer("PRAGMA page_count");
  db.integer("SELECT count(*) FROM sqlite_schema");
  if (db.failure())
    return refusal(db, path);
  if (sqlite3_db_readonly(db.handle(), "main") != 0)
    return error{errc::unavailable, path + " can't be written"};

  std::error_code ec;
  // Named by SQLite, which puts it beside the file that a link leads to.
  const auto log = fs::file_size(db.log_path(), ec);
  const auto size = fs::file_size(path);
  const auto page = db.integer("PRAGMA page_size");
  if ((ec || log == 0) && size < static_cast<std::uintmax_t>(pages * page))
    return error{errc::corrupt, path + " is cut short"};
  if (size <= checked_whole) {
    sqlite_statement check{db, "PRAGMA quick_check(1)"};
    auto rows = check.query();
    if (rows.next() && rows.bytes(0) != "ok")
      return error{errc::corrupt, path + " is damaged: " + rows.text(0)};
  }
  if (db.failure())
    return error{db.failure()->code, path + ": " + db.failure()->context};
  return {};
}

void tune(sqlite_db& db, bool synchronous_full) {
  {
    sqlite_statement s{db, "PRAGMA journal_mode=WAL"};
    auto rows = s.query();
    if (rows.next() && rows.bytes(0) != "wal")
      db.fail({errc::unavailable, "no write-ahead log on this file system"});
  }
  // NORMAL syncs at checkpoints only: a lost machine may lose the last groups,
  // a lost process none.
  db.exec(synchronous_full ? "PRAGMA synchronous=FULL"
                           : "PRAGMA synchronous=NORMAL");
  db.exec("PRAGMA cache_size=-65536");            // 64 MiB
  db.exec("PRAGMA journal_size_limit=33554432");  // 32 MiB
  db.exec("PRAGMA temp_store=MEMORY");
  db.exec("PRAGMA secure_delete=OFF");
}

// A lock of our own over SQLite's. Two openers at once could each hold SQLite's
// shared lock and both give way; of two that ask for this one, one has it. The
// kernel lets go of it when the process ends, however it ends.
result<int> hold(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return cannot("can't open " + path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  const int why = errno;
  ::close(fd);
  if (why == EWOULDBLOCK)
    return held(path);
  return cannot("can't lock " + path, why);
}

// Locks, verifies and sets up the file.
result<sqlite_db> take(const std::string& path, std::uint16_t shards,
                       bool synchronous_full) {
  const auto lock = hold(path);
  if (!lock)
    return lock.error();
  auto db = sqlite_db::open(path, SQLITE_OPEN_READWRITE);
  if (!db) {
    ::close(*lock);
    return error{db.error().code, path + ": " + db.error().context};
  }
  db->keep(*lock);
  // Whatever is refused from here on must be left as it was, log included;
  // `sqlite_engine::start` lifts it.
  sqlite3_db_config(db->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (auto ok = lock_and_verify(*db, path); !ok)
    return ok.error();
  if (auto ok = check_shards_of(*db, path, shards); !ok)
    return ok.error();
  tune(*db, synchronous_full);
  db->exec(later_tables);
  if (db->failure())
    return refusal(*db, path);
  return db;
}

}  // namespace

result<sqlite_db> open_sqlite(const std::string& name, std::uint16_t shards,
                              bool synchronous_full) {
  // Absolute, so that no name is taken for a URI or for ":memory:".
  std::error_code ec;
  // Without links: what stands beside the store stands beside the file itself.
  const auto path = fs::weakly_canonical(fs::absolute(name, ec), ec).string();
  if (ec)
    return cannot("can't find " + name, ec.value());
  if (auto ok = check_path(path); !ok)
    return ok.error();
  const auto size = fs::file_size(path, ec);
  if (ec || size == 0) {
    if (!ec)
      return error{errc::corrupt, path + " is an empty file, not a database"};
    if (ec != std::errc::no_such_file_or_directory)
      return cannot("can't open " + path, ec.value());
    if (auto ok = create(path, shards); !ok)
      return ok.error();
  }
  if (auto ok = check_header(path); !ok)
    return ok.error();

  return take(path, shards, synchronous_full);
}

}  // namespace troupe::store
