#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace troupe::store {

/// What an SQLite result code means to a caller, with SQLite's own words.
/// @param db may be null
error sqlite_error(int code, sqlite3* db, std::string_view doing);

/// One SQLite connection, for one thread.
///
/// **Errors** stick: after the first failure every statement does nothing and
/// finds nothing until `clear`, so that an operation of many statements is
/// checked once, at its end.
class sqlite_db {
 public:
  /// @param uri a path, or a `file:` URI with SQLITE_OPEN_URI in `flags`
  static result<sqlite_db> open(const std::string& uri, int flags);

  sqlite_db(sqlite_db&& other) noexcept;
  sqlite_db& operator=(sqlite_db&&) = delete;
  ~sqlite_db();

  sqlite3* handle() const noexcept { return db_; }

  /// Where SQLite keeps the write-ahead log: beside the file itself, if it was
  /// opened through a link.
  std::string log_path() const {
    return sqlite3_filename_wal(sqlite3_db_filename(db_, "main"));
  }

  /// Takes over a file descriptor, and closes it after the database.
  void keep(int fd) noexcept { kept_ = fd; }

  /// Runs SQL without parameters and results.
  void exec(const char* sql);

  /// The first column of the first row; 0 if there is none.
  std::int64_t integer(const char* sql);

  const std::optional<error>& failure() const noexcept { return failure_; }
  void fail(int code, std::string_view doing);
  void fail(error why);
  void clear() noexcept { failure_.reset(); }

  /// Rows changed by the last write statement.
  std::int64_t changes() const noexcept { return sqlite3_changes64(db_); }

 private:
  explicit sqlite_db(sqlite3* db) : db_{db} {}

  sqlite3* db_;
  int kept_ = -1;
  std::optional<error> failure_;
};

/// A value to bind. Texts are bound as blobs and not copied: they must stay
/// until the statement was reset.
class sqlite_value {
 public:
  sqlite_value(std::nullptr_t) {}  // NOLINT: a list of values reads as such
  sqlite_value(std::int64_t n) : type_{type::number}, number_{n} {}    // NOLINT
  sqlite_value(std::string_view b) : type_{type::bytes}, bytes_{b} {}  // NOLINT
  sqlite_value(const std::string& b)                                   // NOLINT
      : sqlite_value{std::string_view{b}} {}
  sqlite_value(const std::optional<std::string>& b) {  // NOLINT
    if (b)
      *this = sqlite_value{std::string_view{*b}};
  }

  int bind(sqlite3_stmt* to, int place) const;

 private:
  enum class type : std::uint8_t { null, number, bytes };
  type type_ = type::null;
  std::int64_t number_ = 0;
  std::string_view bytes_;
};

/// A prepared statement, kept for the life of its connection.
class sqlite_statement {
 public:
  /// Errors stick to `db`.
  sqlite_statement(sqlite_db& db, const char* sql);
  ~sqlite_statement();
  sqlite_statement(const sqlite_statement&) = delete;
  sqlite_statement& operator=(const sqlite_statement&) = delete;

  /// Runs a statement that gives no rows; the number of rows it changed.
  template <class... Values>
  std::int64_t run(const Values&... values) {
    start(values...);
    next();
    sqlite3_reset(stmt_);
    return db_.failure() ? 0 : db_.changes();
  }

  /// The rows of a query, one after the other; reset when it goes.
  class rows {
   public:
    explicit rows(sqlite_statement& of) : of_{of} {}
    ~rows() { sqlite3_reset(of_.stmt_); }
    rows(const rows&) = delete;
    rows& operator=(const rows&) = delete;

    bool next() { return of_.next(); }
    std::int64_t integer(int column) const {
      return sqlite3_column_int64(of_.stmt_, column);
    }
    /// Valid until the next row.
    std::string_view bytes(int column) const;
    std::string text(int column) const { return std::string{bytes(column)}; }

   private:
    sqlite_statement& of_;
  };

  template <class... Values>
  rows query(const Values&... values) {
    start(values...);
    return rows{*this};
  }

 private:
  template <class... Values>
  void start(const Values&... values) {
    if (db_.failure())
      return;
    int place = 0;
    (bind(++place, sqlite_value{values}), ...);
  }
  void bind(int place, const sqlite_value& v);
  bool next();

  sqlite_db& db_;
  sqlite3_stmt* stmt_ = nullptr;
};

}  // namespace troupe::store
