#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// SQL of the bot author's in a turn's own transaction (docs/adr/0026).
namespace troupe::store {

struct sql_statement {
  std::string text;  ///< one statement, with $1, $2, ...
  /// In the server's text form, of whatever type it takes each for; none: NULL.
  std::vector<std::optional<std::string>> params;
  /// Unless it changes a row (or finds one), the turn is not committed.
  bool must_change = false;
};

/// Why a turn was not committed for its SQL.
struct sql_answer {
  std::vector<std::size_t> unmet;  ///< statements that changed nothing
  /// Without values of parameters, as far as they stand in it as they are.
  std::string error;
  bool passing = false;  ///< the same may work later
};

}  // namespace troupe::store
