#pragma once

#include <cstdint>
#include <string>

#include "core/result.hpp"
#include "store/sqlite_db.hpp"

namespace troupe::store {

/// "Trou": who made the file.
constexpr std::int64_t sqlite_application = 0x54726f75;
/// The format of the tables; another one is refused.
constexpr std::int64_t sqlite_format = 1;

/// Opens the store at `path`, or creates it, alone: nobody else can open it
/// while the answer lives. Nothing of an existing file is written before all
/// of it was found to be ours.
/// **Errors**: as `store::open`.
result<sqlite_db> open_sqlite(const std::string& path, std::uint16_t shards,
                              bool synchronous_full);

}  // namespace troupe::store
