#include "store/postgres_schema.hpp"

#include <algorithm>

namespace troupe::store::postgres {

namespace {

constexpr int least_version = 130'000;

// Keys are two columns: kt, the kind, and kid, the number. Times are ms since
// the epoch; in `chats` 0 and NULL are "never", and a NULL text is empty.
// `owners.till`, `names.till` and `nodes.till` are of the server's clock.
// `outbox.flags` has a campaign's number above its lowest eight bits, or, of a
// call that is no campaign's, its event's.
// What is updated in place again and again has room for that on its pages.
constexpr const char* tables = R"sql(
CREATE TABLE meta(name text PRIMARY KEY, value int8 NOT NULL);
CREATE TABLE writers(id int8 PRIMARY KEY, groups int8 NOT NULL,
  at int8 NOT NULL) WITH (fillfactor = 50);
CREATE TABLE owners(shard int2 PRIMARY KEY, term int8 NOT NULL,
  till int8 NOT NULL, node bytea NOT NULL) WITH (fillfactor = 30);
CREATE TABLE tails(shard int2 PRIMARY KEY, tail int8 NOT NULL)
  WITH (fillfactor = 30);
CREATE TABLE seen(shard int2, block int8, touched int8 NOT NULL,
  ids bytea NOT NULL, PRIMARY KEY(shard, block)) WITH (fillfactor = 70);
CREATE TABLE journal(shard int2, seq int8, type int2 NOT NULL,
  kt int2 NOT NULL, kid int8 NOT NULL, uid int8 NOT NULL, at int8 NOT NULL,
  body bytea NOT NULL, PRIMARY KEY(shard, seq));
CREATE TABLE chats(kt int2, kid int8, version int8 NOT NULL, expires int8,
  mode bytea, memo bytea, labels bytea, state bytea, PRIMARY KEY(kt, kid))
  WITH (fillfactor = 70);
CREATE TABLE outbox(shard int2, id int8, kt int2 NOT NULL, kid int8 NOT NULL,
  to_kt int2 NOT NULL, to_kid int8 NOT NULL, flags int8 NOT NULL,
  at int8 NOT NULL, method bytea NOT NULL, label bytea NOT NULL,
  target bytea NOT NULL, body bytea NOT NULL, PRIMARY KEY(shard, id));
CREATE TABLE timers(kt int2, kid int8, name bytea, shard int2 NOT NULL,
  due int8 NOT NULL, body bytea NOT NULL, PRIMARY KEY(kt, kid, name));
CREATE INDEX timers_due ON timers(shard, due);
CREATE TABLE spending(at int8, kt int2, kid int8, messages int4 NOT NULL,
  PRIMARY KEY(at, kt, kid));
CREATE SEQUENCE deaths;
CREATE TABLE dead(id int8 PRIMARY KEY, shard int2 NOT NULL, type int2 NOT NULL,
  kt int2 NOT NULL, kid int8 NOT NULL, uid int8 NOT NULL,
  accepted int8 NOT NULL, died int8 NOT NULL, error bytea NOT NULL,
  body bytea NOT NULL);
CREATE TABLE audience(kt int2, kid int8, status int2 NOT NULL,
  language bytea NOT NULL, first_seen int8 NOT NULL, last_seen int8 NOT NULL,
  PRIMARY KEY(kt, kid)) WITH (fillfactor = 70);
CREATE TABLE tallies(campaign int8, shard int2, sent int8 NOT NULL,
  failed int8 NOT NULL, blocked int8 NOT NULL, unknown int8 NOT NULL,
  PRIMARY KEY(campaign, shard)) WITH (fillfactor = 50);
CREATE SEQUENCE tokens;
CREATE TABLE names(name bytea PRIMARY KEY, till int8 NOT NULL,
  token int8 NOT NULL, holder bytea NOT NULL);
CREATE INDEX names_till ON names(till);
CREATE TABLE nodes(name bytea PRIMARY KEY, till int8 NOT NULL,
  address bytea NOT NULL, details bytea NOT NULL) WITH (fillfactor = 50);
)sql";

// What came later, and is missing in older stores: an older build does not look
// at it, so that the format is the same.
constexpr const char* later_tables = R"sql(
CREATE TABLE tags(kt int2, kid int8, tags bytea NOT NULL,
  PRIMARY KEY(kt, kid)) WITH (fillfactor = 70);
)sql";

std::string one(const result<table>& of) {
  return of && of->rows() > 0 ? of->text(0, 0) : std::string{};
}

// A server that may lose what it answered is no place for a journal.
result<> check_server(link& on, bool allow_volatile) {
  if (on.version() < least_version)
    return error{errc::incompatible, "PostgreSQL has version " +
                                         std::to_string(on.version() / 10'000) +
                                         "; 13 or later is needed"};
  if (allow_volatile)
    return {};
  auto got = on.tell(
      "SELECT current_setting('fsync') || ' ' || "
      "current_setting('synchronous_commit')");
  if (!got)
    return got.error();
  const auto said = one(got);
  if (said.starts_with("off"))
    return error{errc::incompatible,
                 "PostgreSQL runs with fsync = off: a lost machine would lose "
                 "the database. Set it on there, or store.volatile = "
                 "\"allow\" here"};
  if (said.ends_with(" off"))
    return error{errc::incompatible,
                 "PostgreSQL answers before it has written "
                 "(synchronous_commit = off): its end would lose updates. "
                 "ALTER ROLE ... SET synchronous_commit = on there, or set "
                 "store.volatile = \"allow\" here"};
  return {};
}

result<> create(link& on, const std::string& schema, bool there,
                std::uint16_t shards) {
  const auto last = std::to_string(shards - 1);
  auto made = on.tell(
      // Whose schema was made for him may not make one, even if it is there.
      (there ? std::string{} : "CREATE SCHEMA \"" + schema + "\"; ") +
      "SET LOCAL search_path = \"" + schema + "\"; " + tables +
      "INSERT INTO owners SELECT n, 0, 0, '' FROM generate_series(0, " + last +
      ") n; INSERT INTO tails SELECT n, 0 FROM generate_series(0, " + last +
      ") n; INSERT INTO meta VALUES('troupe', 1), ('format', " +
      std::to_string(format) + "), ('shards', " + std::to_string(shards) + ")");
  if (!made)
    return error{made.error().code == errc::corrupt ? errc::unavailable
                                                    : made.error().code,
                 "schema " + schema + ": " + made.error().context};
  return {};
}

result<> check_format(link& on, const std::string& schema,
                      std::uint16_t shards) {
  auto got =
      on.tell("SELECT name, value FROM \"" + schema + "\".meta ORDER BY name");
  if (!got && got.error().code == errc::unavailable)
    return got.error();
  if (!got || got->rows() != 3 || got->text(2, 0) != "troupe")
    return error{errc::corrupt, "schema " + schema + " is not a store of ours"};
  if (got->text(0, 1) != std::to_string(format))
    return error{errc::incompatible, "the store has format " + got->text(0, 1) +
                                         ", this program knows format " +
                                         std::to_string(format)};
  if (got->text(1, 1) != std::to_string(shards))
    return error{errc::incompatible, "the store was created with " +
                                         got->text(1, 1) +
                                         " shards; set store.shards to that"};
  return {};
}

// Looked for first: who may not make tables here need not.
result<> add_later_tables(link& on, const std::string& schema) {
  auto there = on.tell("SELECT count(to_regclass('\"" + schema + "\".tags'))");
  if (there && one(there) != "1")
    there =
        on.tell("SET LOCAL search_path = \"" + schema + "\"; " + later_tables);
  if (!there)
    return error{there.error().code == errc::corrupt ? errc::unavailable
                                                     : there.error().code,
                 "schema " + schema + ": " + there.error().context};
  return {};
}

// Of several that open a new store at once, one makes it.
result<> take(link& on, const std::string& schema, std::uint16_t shards) {
  auto locked = on.tell("BEGIN; SELECT pg_advisory_xact_lock(hashtext('" +
                        schema + "'))");
  if (!locked)
    return locked.error();
  auto there = on.tell(
      "SELECT count(*) FILTER (WHERE relname = 'meta'), count(c.oid), count(*) "
      "FROM pg_namespace n LEFT JOIN pg_class c ON n.oid = c.relnamespace "
      "WHERE n.nspname = '" +
      schema + "'");
  if (!there)
    return there.error();
  if (one(there) == "0" && there->text(0, 1) != "0")
    return error{errc::corrupt,
                 "schema " + schema + " has tables, but not those of a store"};
  auto ok = one(there) == "0"
                ? create(on, schema, there->text(0, 2) != "0", shards)
                : check_format(on, schema, shards);
  if (ok)
    ok = add_later_tables(on, schema);
  if (!ok)
    return ok;
  auto done = on.tell("COMMIT");
  return done ? result<>{} : done.error();
}

}  // namespace

bool is_postgres_url(std::string_view url) noexcept {
  return url.starts_with("postgres://") || url.starts_with("postgresql://");
}

std::string schema_of(const std::string& bot) {
  return "troupe_" + bot;
}

result<std::unique_ptr<link>> open_schema(const options& how,
                                          const link_options& with) {
  // Part of the schema's name, which stands between quotes.
  const bool named =
      !how.bot.empty() && how.bot.size() < 40 &&
      std::all_of(how.bot.begin(), how.bot.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
      });
  if (!named)
    return error{errc::bad_input, "a PostgreSQL store needs a bot's id"};
  auto on = link::open(how.url, with);
  if (!on)
    return on;
  if (auto ok = check_server(**on, how.allow_volatile); !ok)
    return ok.error();
  if (auto ok = take(**on, schema_of(how.bot), how.shards); !ok)
    return ok.error();
  if (auto ok = (*on)->enter(schema_of(how.bot), with); !ok)
    return ok.error();
  return on;
}

}  // namespace troupe::store::postgres
