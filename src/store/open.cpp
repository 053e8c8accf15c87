#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>

#include "store/group_store.hpp"
#include "store/memory.hpp"
#include "store/postgres_schema.hpp"
#include "store/redis_store.hpp"
#include "store/redis_url.hpp"
#include "store/sqlite_engine.hpp"
#include "store/sqlite_schema.hpp"
#include "store/store.hpp"

namespace troupe::store {

namespace {

constexpr std::string_view sqlite_scheme = "sqlite:";
constexpr std::string_view memory_scheme = "memory:";

/// What several nodes of one process share.
struct common_memory {
  common_memory(std::uint16_t shards, const clock& time)
      : engine{shards, time, true} {}
  memory_engine engine;
  std::mutex one_at_a_time;
};

result<std::unique_ptr<backend>> open_common(const std::string& name,
                                             const options& how) {
  static std::mutex lock;
  static std::map<std::string, std::weak_ptr<common_memory>> known;
  const std::lock_guard guard{lock};
  auto& slot = known[name];
  auto all = slot.lock();
  if (!all)
    slot = all = std::make_shared<common_memory>(how.shards, *how.time);
  if (all->engine.shards() != how.shards)
    return error{errc::incompatible,
                 "memory:" + name + " has another number of shards"};
  std::shared_ptr<engine> mine{all, &all->engine};
  std::shared_ptr<std::mutex> turn{all, &all->one_at_a_time};
  return make_group_store(std::move(mine), false, {}, std::move(turn));
}

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
  if (url.starts_with(memory_scheme))
    return open_common(std::string{url.substr(memory_scheme.size())}, how);
  if (url.starts_with(sqlite_scheme))
    return open_embedded(std::string{url.substr(sqlite_scheme.size())}, how);
  if (redis::is_redis_url(url))
    return redis::open(how);
  if (postgres::is_postgres_url(url))
    return postgres::open(how);
  // Nothing of it is repeated: it may hold a password.
  return error{errc::bad_input,
               "store url: unknown kind; expected sqlite:PATH, redis://..., "
               "rediss://..., postgresql://... or memory:"};
}

}  // namespace troupe::store
