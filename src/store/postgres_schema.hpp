#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "store/postgres_link.hpp"
#include "store/store.hpp"

namespace troupe::store::postgres {

/// A change of the tables, of their meaning or of `seen_ids` raises it.
constexpr std::int64_t format = 1;

/// True for `postgres://` and `postgresql://`.
bool is_postgres_url(std::string_view url) noexcept;

/// Connects, checks the server, and makes the tables in the bot's own schema
/// `troupe_BOT` or checks that they are ours. What is refused is left as it
/// was.
result<std::unique_ptr<link>> open_schema(const options& how,
                                          const link_options& with);

/// A store on PostgreSQL.
/// **Errors**: those of `store::open`; `errc::bad_input` repeats nothing of the
/// URL.
result<std::unique_ptr<backend>> open(const options& how);

std::string schema_of(const std::string& bot);

}  // namespace troupe::store::postgres
