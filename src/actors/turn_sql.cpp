// SQL of the author's in a turn's transaction (docs/adr/0026).

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/turn_context.hpp"
#include "troupe/chat.hpp"
#include "troupe/sql.hpp"

namespace troupe {

namespace {

constexpr std::size_t longest_sql = 64 * 1024;
constexpr std::size_t most_sql_params = 1'000;

bool is_sql_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// What comes after white space and comments, which nest in PostgreSQL.
std::string_view without_comments(std::string_view text) {
  for (;;) {
    while (!text.empty() && is_sql_space(text.front()))
      text.remove_prefix(1);
    if (text.starts_with("--")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with("/*")) {
      int depth = 0;
      do {
        const bool opens = text.starts_with("/*");
        const bool closes = text.starts_with("*/");
        depth += opens ? 1 : closes ? -1 : 0;
        text.remove_prefix(opens || closes ? 2 : 1);
      } while (depth > 0 && !text.empty());
    } else {
      return text;
    }
  }
}

/// In capitals, up to what is no letter.
std::string first_sql_word(std::string_view text) {
  std::string out;
  for (const char c : without_comments(text)) {
    const bool small = c >= 'a' && c <= 'z';
    if (!small && !(c >= 'A' && c <= 'Z'))
      break;
    out += small ? static_cast<char>(c - 'a' + 'A') : c;
    if (out.size() == 16)
      break;
  }
  return out;
}

// The server takes one statement at a time; what must not be is one that ends
// the transaction which the turn is committed in, or changes the session.
void check_sql(std::string_view text) {
  constexpr std::array<std::string_view, 6> good{"SELECT", "INSERT", "UPDATE",
                                                 "DELETE", "MERGE",  "WITH"};
  if (text.size() > longest_sql || text.find('\0') != text.npos)
    throw std::invalid_argument{
        "a statement of SQL must be shorter than 64 KiB, and without a zero "
        "byte"};
  const auto word = first_sql_word(text);
  if (std::ranges::find(good, word) == good.end())
    throw std::invalid_argument{
        "ctx->sql takes SELECT, INSERT, UPDATE, DELETE, MERGE and WITH, not "
        "\"" +
        word + '"'};
}

/// Known by what it says, and by how many of the same came before it.
std::string key_of(const detail::wanted_sql& s,
                   const std::vector<detail::wanted_sql>& before) {
  const auto same = std::ranges::count_if(before, [&](const auto& b) {
    return b.text == s.text && b.params == s.params;
  });
  std::string out = std::to_string(same) + '/' + s.text;
  for (const auto& p : s.params) {
    out += '\0';
    out += p ? std::to_string(p->size()) + ':' + *p : "-";
  }
  return out;
}

}  // namespace

void sql_value::put_real(double x) {
  if (std::isnan(x)) {
    text_ = "NaN";
  } else if (std::isinf(x)) {
    text_ = x > 0 ? "Infinity" : "-Infinity";
  } else {
    std::array<char, 32> digits{};
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), x).ptr;
    text_.emplace(digits.data(), end);
  }
}

void sql_value::put_text(std::string_view text) {
  if (text.find('\0') != text.npos)
    throw std::invalid_argument{
        "PostgreSQL has no text with a zero byte: a parameter of ctx->sql must "
        "not"};
  text_.emplace(text);
}

statement chat_base::sql(std::string_view text, std::vector<sql_value> params) {
  auto& turn = detail::turn_of(this, "sql");
  if (!turn.scene.takes_sql)
    throw std::logic_error{
        "ctx->sql needs a store on PostgreSQL (store.url = "
        "\"postgresql://...\")"};
  check_sql(text);
  if (params.size() > most_sql_params)
    throw std::length_error{"a statement has over 1000 parameters"};
  if (turn.sql.size() == detail::most_sql)
    throw std::length_error{"a turn has over 64 statements of SQL"};
  detail::wanted_sql s;
  s.text = text;
  for (const auto& p : params)
    s.params.push_back(p.text());
  s.key = key_of(s, turn.sql);
  turn.sql.push_back(std::move(s));
  return {turn.serial, turn.sql.size() - 1};
}

bool statement::changed() const {
  auto* turn = detail::running_turn();
  if (!turn || turn->serial != turn_)
    throw std::logic_error{
        "a statement can be asked about only in the turn that made it"};
  auto& s = turn->sql[index_];
  s.skipped = std::ranges::find(turn->scene.unchanged, s.key) !=
              turn->scene.unchanged.end();
  s.must_change = !s.skipped;
  return s.must_change;
}

std::string chat_base::turn_id() const {
  return std::string{detail::turn_of(this, "turn_id").scene.event_id};
}

}  // namespace troupe
