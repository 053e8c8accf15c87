#include "store/postgres_wire.hpp"

#include <charconv>

#include "core/result.hpp"

namespace troupe::store::postgres {

namespace {

// Types by their numbers in pg_type.dat; they never change.
constexpr std::uint32_t oid_bytea = 17;
constexpr std::uint32_t oid_int8 = 20;
constexpr std::uint32_t null_size = 0xffffffff;

void put_int32(std::string& out, std::uint32_t n) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(n >> shift & 0xff);
}

// The header of an array of one dimension.
std::string array_head(bool numbers, bool nulls, std::uint32_t rows) {
  std::string out;
  put_int32(out, rows == 0 ? 0 : 1);  // dimensions
  put_int32(out, nulls ? 1 : 0);
  put_int32(out, numbers ? oid_int8 : oid_bytea);
  if (rows == 0)
    return out;
  put_int32(out, rows);
  put_int32(out, 1);  // the first index
  return out;
}

}  // namespace

void value::append_to(std::string& out) const {
  if (kind_ == kind::bytes) {
    out += bytes_;
    return;
  }
  const auto n = static_cast<std::uint64_t>(number_);
  for (int shift = 56; shift >= 0; shift -= 8)
    out += static_cast<char>(n >> shift & 0xff);
}

void request::scalar(const value& v) {
  TROUPE_CHECK(!v.null());
  v.append_to(params_.emplace_back());
}

request request::of_author(const sql_statement& s) {
  request out{sql::author};
  out.text_ = s.text;
  for (const auto& p : s.params) {
    out.nulls_.push_back(!p);
    out.params_.push_back(p.value_or(std::string{}));
  }
  return out;
}

void request::numbers(const std::vector<std::int64_t>& all) {
  auto out = array_head(true, false, static_cast<std::uint32_t>(all.size()));
  for (const auto n : all) {
    put_int32(out, 8);
    value{n}.append_to(out);
  }
  params_.push_back(std::move(out));
}

columns::columns(sql what) : what_{what} {
  clear();
}

void columns::clear() {
  rows_ = 0;
  std::size_t n = 0;
  for (const char* t = text_of(what_).types; *t == 'N' || *t == 'B'; ++t)
    ++n;
  data_.assign(n, {});
  nulls_.assign(n, false);
}

void columns::put(std::size_t i, const value& v) {
  auto& out = data_.at(i);
  if (v.null()) {
    nulls_[i] = true;
    return put_int32(out, null_size);
  }
  put_int32(out, static_cast<std::uint32_t>(v.size()));
  v.append_to(out);
}

request columns::take() {
  request out{what_};
  const char* types = text_of(what_).types;
  for (std::size_t i = 0; i < data_.size(); ++i)
    out.params_.push_back(array_head(types[i] == 'N', nulls_[i], rows_) +
                          data_[i]);
  clear();
  return out;
}

std::int64_t table::integer(int row, int column) const {
  const auto raw = bytes(row, column);
  if (raw.empty())
    return 0;
  // Sign and magnitude of int2, int4 and int8 alike.
  auto n = static_cast<std::int64_t>(static_cast<signed char>(raw[0]));
  for (std::size_t i = 1; i < raw.size(); ++i)
    n = static_cast<std::int64_t>(static_cast<std::uint64_t>(n) << 8 |
                                  static_cast<unsigned char>(raw[i]));
  return n;
}

std::string_view table::bytes(int row, int column) const {
  return {PQgetvalue(of_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(of_.get(), row, column))};
}

std::uint64_t table::changed() const {
  const std::string_view said = PQcmdTuples(of_.get());
  std::uint64_t n = 0;
  std::from_chars(said.data(), said.data() + said.size(), n);
  return n;
}

}  // namespace troupe::store::postgres
