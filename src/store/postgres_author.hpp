#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/postgres_link.hpp"
#include "store/postgres_wire.hpp"
#include "store/store.hpp"

/// What the bot author's SQL came to in a turn's transaction.
namespace troupe::store::postgres {

/// Nothing, if all of it is to be committed.
/// @param asked what was sent, in which the author's statements stand between a
/// request before and one after them that are of the kind `sql::author`, too
/// @param answers those to the first of `asked`
/// @param why the next one failed; null: none did
std::optional<turn_receipt> verdict_on(
    const std::vector<sql_statement>& statements,
    const std::vector<request>& asked, const std::vector<table>& answers,
    const refusal* why);

/// What the server says of a statement, without what was given to it: quoted
/// values of what it could not read, and parameters that stand in it.
std::string without_values(const refusal& why, const sql_statement& of);

}  // namespace troupe::store::postgres
