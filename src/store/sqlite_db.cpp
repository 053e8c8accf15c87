#include "store/sqlite_db.hpp"

#include <unistd.h>

#include <utility>

namespace troupe::store {

namespace {

errc meaning_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_FORMAT: return errc::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT: return errc::unavailable;
    case SQLITE_TOOBIG: return errc::too_large;
    default: return errc::internal;
  }
}

}  // namespace

error sqlite_error(int code, sqlite3* db, std::string_view doing) {
  std::string text{doing};
  text.append(": ").append(sqlite3_errstr(code));
  if (db) {
    const std::string more = sqlite3_errmsg(db);
    if (more != sqlite3_errstr(code))
      text.append(" (").append(more).append(")");
    if (const int system = sqlite3_system_errno(db);
        system != 0 &&
        ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN))
      text.append(", errno ").append(std::to_string(system));
  }
  return {meaning_of(code), std::move(text)};
}

result<sqlite_db> sqlite_db::open(const std::string& uri, int flags) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(uri.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  sqlite_db db{raw};
  if (code != SQLITE_OK)
    return sqlite_error(code, raw, "opening the database");
  sqlite3_extended_result_codes(raw, 1);
  return db;
}

sqlite_db::sqlite_db(sqlite_db&& other) noexcept
    : db_{std::exchange(other.db_, nullptr)},
      kept_{std::exchange(other.kept_, -1)},
      failure_{std::move(other.failure_)} {}

sqlite_db::~sqlite_db() {
  sqlite3_close_v2(db_);
  if (kept_ >= 0)
    ::close(kept_);
}

void sqlite_db::exec(const char* sql) {
  if (failure_)
    return;
  if (const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
      code != SQLITE_OK)
    fail(code, sql);
}

std::int64_t sqlite_db::integer(const char* sql) {
  sqlite_statement s{*this, sql};
  auto rows = s.query();
  return rows.next() ? rows.integer(0) : 0;
}

void sqlite_db::fail(int code, std::string_view doing) {
  fail(sqlite_error(code, db_, doing.substr(0, 60)));
}

void sqlite_db::fail(error why) {
  if (!failure_)
    failure_ = std::move(why);
}

int sqlite_value::bind(sqlite3_stmt* to, int place) const {
  switch (type_) {
    case type::null: return sqlite3_bind_null(to, place);
    case type::number: return sqlite3_bind_int64(to, place, number_);
    case type::bytes:
      // A null pointer would bind NULL, not an empty blob.
      return sqlite3_bind_blob64(to, place, bytes_.empty() ? "" : bytes_.data(),
                                 bytes_.size(), SQLITE_STATIC);
  }
  return SQLITE_MISUSE;
}

sqlite_statement::sqlite_statement(sqlite_db& db, const char* sql) : db_{db} {
  if (db_.failure())
    return;
  const int code = sqlite3_prepare_v3(
      db_.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt_, nullptr);
  if (code != SQLITE_OK)
    db_.fail(code, sql);
}

sqlite_statement::~sqlite_statement() {
  sqlite3_finalize(stmt_);
}

void sqlite_statement::bind(int place, const sqlite_value& v) {
  if (const int code = v.bind(stmt_, place); code != SQLITE_OK)
    db_.fail(code, sqlite3_sql(stmt_));
}

bool sqlite_statement::next() {
  if (db_.failure())
    return false;
  const int code = sqlite3_step(stmt_);
  if (code == SQLITE_ROW)
    return true;
  if (code != SQLITE_DONE)
    db_.fail(code, sqlite3_sql(stmt_));
  return false;
}

std::string_view sqlite_statement::rows::bytes(int column) const {
  // The order matters: the pointer first, then its length.
  const void* data = sqlite3_column_blob(of_.stmt_, column);
  const int size = sqlite3_column_bytes(of_.stmt_, column);
  if (size <= 0 || !data)
    return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

}  // namespace troupe::store
