#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "store/group_store.hpp"
#include "store/memory.hpp"
#include "store/sqlite_engine.hpp"
#include "store/sqlite_schema.hpp"
#include "store/store.hpp"

namespace troupe::store {

namespace {

constexpr std::string_view sqlite_scheme = "sqlite:";

result<std::unique_ptr<backend>> open_embedded(const std::string& path,
                                               const options& how) {
  if (path.empty() || path == ":memory:")
    return error{errc::bad_input,
                 "store url: expected sqlite:PATH, or memory:"};
  auto db = open_sqlite(path, how.shards, how.synchronous_full);
  if (!db)
    return db.error();
  auto engine =
      std::make_unique<sqlite_engine>(std::move(*db), how.shards, *how.time);
  if (auto ok = engine->start(); !ok)
    return error{ok.error().code, path + ": " + ok.error().context};
  return make_group_store(std::move(engine), true);
}

}  // namespace

result<std::unique_ptr<backend>> open(const options& how) {
  const std::string_view url = how.url;
  if (how.shards == 0 || !how.time)
    return error{errc::bad_input, "a store needs at least one shard"};
  if (url == "memory:")
    return make_group_store(
        std::make_unique<memory_engine>(how.shards, *how.time), true);
  if (url.starts_with(sqlite_scheme))
    return open_embedded(std::string{url.substr(sqlite_scheme.size())}, how);
  // Only the scheme is repeated: the rest may hold a password.
  const auto scheme = url.substr(0, url.find(':'));
  for (const std::string_view known :
       {"redis", "rediss", "postgres", "postgresql"})
    if (scheme == known)
      return error{errc::bad_input, "store url: " + std::string{scheme} +
                                        ": is not in this build; use "
                                        "sqlite:PATH or memory:"};
  return error{errc::bad_input,
               "store url: unknown kind; expected sqlite:PATH or memory:"};
}

}  // namespace troupe::store
