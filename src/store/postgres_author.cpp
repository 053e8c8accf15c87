#include "store/postgres_author.hpp"

#include <algorithm>
#include <string_view>

#include "store/postgres_engine.hpp"

namespace troupe::store::postgres {

namespace {

// Shorter ones would be found in ordinary words.
constexpr std::size_t least_secret = 4;
constexpr std::size_t longest_refusal = 500;

/// `invalid input syntax for type integer: "..."`
std::string without_quoted(std::string_view text) {
  std::string out;
  bool inside = false;
  for (const char c : text) {
    if (c == '"') {
      out += inside ? "...\"" : "\"";
      inside = !inside;
    } else if (!inside) {
      out += c;
    }
  }
  return out;
}

bool passes(const std::string& state) {
  // Serialization and deadlocks, a lock or the time that was not to be had.
  return state.starts_with("40") || state == "55P03" || state == "57014";
}

}  // namespace

std::string without_values(const refusal& why, const sql_statement& of) {
  auto out = why.why.context;
  if (why.state.starts_with("22"))
    out = without_quoted(out);
  for (std::size_t i = 0; i < of.params.size(); ++i) {
    const auto& value = of.params[i];
    if (!value || value->size() < least_secret)
      continue;
    const auto name = "$" + std::to_string(i + 1);
    for (auto at = out.find(*value); at != out.npos;
         at = out.find(*value, at + name.size()))
      out.replace(at, value->size(), name);
  }
  if (out.size() > longest_refusal)
    out.resize(longest_refusal);
  return out;
}

std::optional<turn_receipt> verdict_on(
    const std::vector<sql_statement>& statements,
    const std::vector<request>& asked, const std::vector<table>& answers,
    const refusal* why) {
  const auto before =
      std::find_if(asked.begin(), asked.end(),
                   [](const request& r) { return r.what() == sql::author; });
  const auto first = static_cast<std::size_t>(before - asked.begin()) + 1;
  turn_receipt out;
  out.outcome = turn_receipt::status::refused;
  if (why != nullptr) {
    const auto i = answers.size() - std::min(answers.size(), first);
    out.sql.passing = passes(why->state);
    out.sql.error = i < statements.size()
                        ? "SQL statement " + std::to_string(i + 1) + ": " +
                              without_values(*why, statements[i])
                        : "after the SQL: " + without_values(*why, {});
    return out;
  }
  for (std::size_t i = 0; i < statements.size(); ++i)
    if (statements[i].must_change && answers[first + i].changed() == 0)
      out.sql.unmet.push_back(i);
  return out.sql.unmet.empty() ? std::nullopt : std::optional{std::move(out)};
}

// Its statements see the search path and the planner that any session of this
// role has, and together get half of what an exchange may take.
std::pair<request, request> postgres_engine::around_author() const {
  const std::string settings =
      "SELECT set_config('search_path', $1, $3::bool), "
      "set_config('statement_timeout', $2, $3::bool), "
      "set_config('lock_timeout', $4, $3::bool), "
      "set_config('plan_cache_mode', $5, $3::bool), "
      "set_config('enable_seqscan', $6, $3::bool), "
      "set_config('enable_hashjoin', $6, $3::bool), "
      "set_config('enable_mergejoin', $6, $3::bool)";
  if (needs_.sql.empty())
    return {request{sql::author}, request{sql::author}};
  const auto patience = home_.with.patience.count();
  const auto each = std::max<std::int64_t>(
      1, patience / 2 / static_cast<std::int64_t>(needs_.sql.size()));
  // Theirs until the transaction ends; ours for the session, whatever they did.
  return {request::of_author(
              {settings,
               {link_->path(), std::to_string(each), "t", "0", "auto", "on"},
               false}),
          request::of_author(
              {settings,
               {'"' + home_.schema + '"', std::to_string(patience * 3 / 4), "f",
                std::to_string(patience / 5), "force_generic_plan", "off"},
               false})};
}

}  // namespace troupe::store::postgres
