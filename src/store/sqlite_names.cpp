#include "store/checks.hpp"
#include "store/sqlite_engine.hpp"

// Named leases. They outlive the process: a key that is reserved for a day is
// so after a restart, too.
namespace troupe::store {

namespace {

constexpr std::int64_t names_swept_at_once = 1'024;

}  // namespace

result<std::optional<grant>> sqlite_engine::acquire(const std::string& name,
                                                    const std::string& holder,
                                                    milliseconds ttl) {
  const auto now = time_.wall();
  std::int64_t token = 0;
  {
    auto rows = sql_.name.query(name);
    if (rows.next()) {
      // Even expired, it is still its last holder's: nobody was there between.
      if (rows.bytes(2) == holder)
        token = rows.integer(1);
      else if (rows.integer(0) > to_ms(now))
        return finish(std::optional<grant>{});
    }
  }
  if (token == 0) {
    auto rows = sql_.new_token.query(to_ms(now));
    while (rows.next())
      token = rows.integer(0);
  }
  sql_.put_name.run(name, to_ms(now + ttl), token, holder);
  return finish(std::optional{grant{static_cast<std::uint64_t>(token)}});
}

result<> sqlite_engine::relinquish(const std::string& name,
                                   const std::string& holder) {
  sql_.drop_name.run(name, holder);
  if (db_.failure())
    return failed();
  return {};
}

void sqlite_engine::sweep_names(wall_time now) {
  const auto before = to_ms(now - sweep_grace);
  if (bool any = sql_.old_name.query(before).next(); !any || db_.failure())
    return;
  if (auto ok = begin(); !ok)
    return db_.fail(ok.error());
  sql_.drop_names.run(before, names_swept_at_once);
  if (auto ok = end(); !ok)
    db_.fail(ok.error());
}

}  // namespace troupe::store
