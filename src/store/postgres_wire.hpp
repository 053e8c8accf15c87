#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/postgres_sql.hpp"
#include "store/sql.hpp"

/// What goes to PostgreSQL and comes back, in its binary form: numbers are
/// int8, all texts bytea (any byte may be in them), and many rows are arrays,
/// one for each column.
namespace troupe::store::postgres {

/// A parameter, or one element of a column.
class value {
 public:
  value(std::nullptr_t) {}                                      // NOLINT
  value(std::int64_t n) : kind_{kind::number}, number_{n} {}    // NOLINT
  value(std::string_view b) : kind_{kind::bytes}, bytes_{b} {}  // NOLINT
  value(const std::string& b) : value{std::string_view{b}} {}   // NOLINT
  value(const std::optional<std::string>& b) {                  // NOLINT
    if (b)
      *this = value{std::string_view{*b}};
  }
  value(const std::optional<std::int64_t>& n) {  // NOLINT
    if (n)
      *this = value{*n};
  }

  bool null() const noexcept { return kind_ == kind::null; }
  void append_to(std::string& out) const;
  std::size_t size() const noexcept {
    return kind_ == kind::number ? 8 : bytes_.size();
  }

 private:
  enum class kind : std::uint8_t { null, number, bytes };
  kind kind_ = kind::null;
  std::int64_t number_ = 0;
  std::string_view bytes_;
};

/// A statement with its parameters.
class request {
 public:
  explicit request(sql what) : what_{what} {}

  /// A statement of the author's.
  static request of_author(const sql_statement& s);

  /// Each parameter in turn; all of them scalars.
  template <class... Values>
  static request of(sql what, const Values&... values) {
    request out{what};
    (out.scalar(value{values}), ...);
    return out;
  }

  void scalar(const value& v);
  void numbers(const std::vector<std::int64_t>& all);

  sql what() const noexcept { return what_; }
  const std::vector<std::string>& params() const noexcept { return params_; }
  bool null(std::size_t param) const {
    return param < nulls_.size() && nulls_[param];
  }
  /// Of the author's: it goes as it is, with parameters as text.
  const std::string& text() const noexcept { return text_; }

  bool sync = false;  ///< ends a transaction, or what may fail by itself

 private:
  friend class columns;
  sql what_;
  std::vector<std::string> params_;
  std::string text_;
  std::vector<bool> nulls_;
};

/// Many rows for one statement all of whose parameters are arrays.
class columns {
 public:
  explicit columns(sql what);

  template <class... Values>
  void add(const Values&... values) {
    std::size_t i = 0;
    (put(i++, value{values}), ...);
    ++rows_;
  }

  bool empty() const noexcept { return rows_ == 0; }
  /// The rows so far, to send; then it is empty. More scalars may follow.
  request take();

 private:
  void put(std::size_t i, const value& v);
  void clear();

  sql what_;
  std::uint32_t rows_ = 0;
  std::vector<std::string> data_;
  std::vector<bool> nulls_;
};

/// The rows of an answer.
class table {
 public:
  table() = default;
  explicit table(PGresult* r) : of_{r, PQclear} {}

  int rows() const noexcept { return of_ ? PQntuples(of_.get()) : 0; }
  bool null(int row, int column) const {
    return PQgetisnull(of_.get(), row, column) != 0;
  }
  /// 0 for NULL.
  std::int64_t integer(int row, int column) const;
  /// Empty for NULL. Valid as long as the table.
  std::string_view bytes(int row, int column) const;
  std::string text(int row, int column) const {
    return std::string{bytes(row, column)};
  }
  /// How many rows a statement changed, or found.
  std::uint64_t changed() const;
  /// What the server says it did, e.g. `COMMIT`.
  std::string_view did() const { return PQcmdStatus(of_.get()); }

 private:
  std::shared_ptr<PGresult> of_;
};

}  // namespace troupe::store::postgres
