#include "tests/store/fixture.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include "tests/support/postgres_server.hpp"
#include "tests/support/redis_server.hpp"

namespace troupe::store::test {

temporary_directory::temporary_directory() {
  auto pattern =
      (std::filesystem::temp_directory_path() / "troupe-store-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

temporary_directory::~temporary_directory() {
  std::error_code ec;
  std::filesystem::remove_all(path_, ec);
}

std::vector<std::string> all_kinds() {
  std::vector<std::string> all{"memory", "sqlite", "shared memory",
                               "faulty memory", "faulty sqlite"};
  static const bool redis = redis_test::have_redis();
  if (redis)
    all.insert(all.end(), {"redis", "faulty redis", "redis behind sentinels",
                           "redis cluster"});
  static const bool postgres = postgres_test::have_postgres();
  if (postgres)
    all.insert(all.end(), {"postgres", "faulty postgres"});
  return all;
}

namespace {

/// Where stores of one kind live: for the whole program, since each has keys
/// of its own there.
struct redis_home {
  std::string url;
  std::vector<redis_test::redis_server*> primaries;
};

redis_home alone() {
  static redis_test::redis_server only{{.append_only = true}};
  return {only.url(), {&only}};
}

redis_home behind_sentinels() {
  static redis_test::redis_sentinels all{"", 2, true};
  all.be_patient();
  return {all.url(), {&all.primary()}};
}

redis_home in_a_cluster() {
  static redis_test::redis_cluster all{3, 0, true};
  all.be_patient();
  return {all.url(), {&all.node(0), &all.node(1), &all.node(2)}};
}

const redis_home& home_of(const std::string& kind) {
  if (kind.ends_with("sentinels")) {
    static const auto home = behind_sentinels();
    return home;
  }
  if (kind.ends_with("cluster")) {
    static const auto home = in_a_cluster();
    return home;
  }
  static const auto home = alone();
  return home;
}

/// One server for the whole program: each store has a schema of its own.
const postgres_test::postgres_server& postgres_home() {
  static const postgres_test::postgres_server only;
  return only;
}

/// Lets leases, nodes and names end so much earlier.
void pass_postgres_time(const std::string& bot, milliseconds by) {
  const auto ms = std::to_string(by.count());
  for (const char* which : {"owners", "nodes", "names"}) {
    const auto answer =
        postgres_home().ask("UPDATE troupe_" + bot + "." + which +
                            " SET till = till - " + ms + " WHERE till > 0");
    INFO(answer);
    REQUIRE(answer.empty());
  }
}

/// Runs a script on the keys that fit `pattern`, with how much time is to have
/// passed.
void pass_time(const redis_home& at, const std::string& script,
               const std::string& pattern, milliseconds by) {
  const auto whole =
      "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do " + script + " end";
  for (const auto* server : at.primaries) {
    const auto answer =
        server->ask({"EVAL", whole, "0", pattern, std::to_string(by.count())});
    INFO(answer);
    REQUIRE(answer.find("rror") == answer.npos);
  }
}

/// The ends that Redis itself keeps.
const std::string shorten_keys =
    "local left = redis.call('PTTL', k) "
    "if left > 0 then "
    "redis.call('PEXPIRE', k, string.format('%.0f', left - ARGV[2])) end";

/// Those of leases: `until` of a shard; nodes and names, which begin with it.
const std::string shorten_leases =
    "for _, field in ipairs(redis.call('HKEYS', k)) do "
    "local old = redis.call('HGET', k, field) "
    "local ms, rest = string.match(old, '^(%d+)(.*)$') "
    "if string.match(k, '}:m$') and field ~= 'until' then ms = nil end "
    "if ms then redis.call('HSET', k, field, "
    "string.format('%.0f', ms - ARGV[2]) .. rest) end end";

std::string next_bot() {
  static std::atomic<unsigned> n{0};
  return std::to_string(1000 + n++);
}

}  // namespace

store_fixture::store_fixture(std::string kind)
    : kind_{std::move(kind)}, bot_{next_bot()} {
  if (redis())
    time.on_advance = [this](milliseconds by) {
      pass_time(home_of(kind_), shorten_keys, "troupe:{" + bot_ + ":*", by);
    };
  store_ = std::make_unique<sync_store>(make());
}

void store_fixture::pass(milliseconds by) {
  if (postgres())
    return pass_postgres_time(bot_, by);
  if (!redis())
    return time.advance(by);
  for (const char* leases : {":*}:m", "}:n", "}:l"})
    pass_time(home_of(kind_), shorten_leases, "troupe:{" + bot_ + leases, by);
}

std::unique_ptr<backend> store_fixture::make() {
  options how;
  how.shards = shard_count;
  how.time = &time;
  how.bot = bot_;
  how.allow_volatile = postgres();  // fsync is off there
  if (redis())
    how.url = home_of(kind_).url;
  else if (postgres())
    how.url = postgres_home().url() + "?connect_timeout=60";
  else if (durable())
    how.url = "sqlite:" + dir_.file("store.db");
  else
    how.url = exclusive() ? "memory:" : "memory:" + dir_.file("shared");
  auto opened = open(how);
  if (!opened)
    FAIL(to_string(opened.error()));
  if (kind_.starts_with("faulty"))
    return std::make_unique<faulty>(std::move(*opened));
  return std::move(*opened);
}

void store_fixture::reopen() {
  if (!durable())
    return;
  store_.reset();
  store_ = std::make_unique<sync_store>(make());
}

namespace {

bool files_hold(const std::filesystem::path& in, const std::string& text) {
  for (const auto& file : std::filesystem::directory_iterator{in}) {
    std::ifstream from{file.path(), std::ios::binary};
    const std::string all{std::istreambuf_iterator<char>{from}, {}};
    if (all.find(text) != all.npos)
      return true;
  }
  return false;
}

bool redis_holds(const redis_home& at, const std::string& bot,
                 const std::string& text) {
  const std::string script =
      "local function flat(x) if type(x) ~= 'table' then return tostring(x) "
      "end local out = {} for i, y in ipairs(x) do out[i] = flat(y) end "
      "return table.concat(out, '\\n') end "
      "local read = {string = {'GET'}, hash = {'HGETALL'}, "
      "set = {'SMEMBERS'}, zset = {'ZRANGE', 0, -1}, "
      "stream = {'XRANGE', '-', '+'}} "
      "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do "
      "local how = read[redis.call('TYPE', k).ok] "
      "local all = redis.call(unpack({how[1], k, how[2], how[3]})) "
      "if string.find(k .. '\\n' .. flat(all), ARGV[2], 1, true) then "
      "return 1 end end return 0";
  for (const auto* server : at.primaries) {
    const auto answer =
        server->ask({"EVAL", script, "0", "troupe:{" + bot + "*", text});
    INFO(answer);
    REQUIRE((answer == "1" || answer == "0"));
    if (answer == "1")
      return true;
  }
  return false;
}

// A bytea is written in hex.
bool postgres_holds(const std::string& bot, const std::string& text) {
  std::string hex;
  for (const char c : text)
    for (const int half : {c >> 4, c & 15})
      hex += "0123456789abcdef"[half & 15];
  for (const std::string table : {"journal", "chats", "outbox", "timers",
                                  "dead", "audience", "tags", "spending"}) {
    const auto answer =
        postgres_home().ask("SELECT count(*) FROM troupe_" + bot + "." + table +
                            " t WHERE t::text LIKE '%" + hex +
                            "%' OR t::text LIKE '%" + text + "%'");
    INFO(table << ": " << answer);
    REQUIRE(answer.find_first_not_of("0123456789") == answer.npos);
    if (answer != "0")
      return true;
  }
  return false;
}

}  // namespace

bool store_fixture::holds_text(const std::string& text) {
  if (!durable())
    return false;
  store_.reset();
  const bool found = redis()      ? redis_holds(home_of(kind_), bot_, text)
                     : postgres() ? postgres_holds(bot_, text)
                                  : files_hold(dir_.path(), text);
  store_ = std::make_unique<sync_store>(make());
  return found;
}

arrival arriving(std::int64_t id, chat_key key, std::string body) {
  return {{id}, key, make_payload(std::move(body)), from_ms(1'699'999'999'000)};
}

seq_no accept_one(sync_store& s, std::int64_t id, chat_key key,
                  std::string body) {
  auto r = s.accept({arriving(id, key, std::move(body))}).value();
  REQUIRE(r.size() == 1);
  REQUIRE(r[0].fresh);
  return r[0].seq;
}

turn turn_of(chat_key key, std::uint64_t version, seq_no seq) {
  turn t;
  t.key = key;
  t.version = version;
  t.seq = seq;
  return t;
}

call call_of(chat_key from, call_id id, std::string label) {
  call c;
  c.id = id;
  c.from = from;
  c.to = from;
  c.method = "sendMessage";
  c.body = make_payload(R"({"text":"hi"})");
  c.label = std::move(label);
  c.at = from_ms(1'700'000'000'123);
  return c;
}

settlement settled(const call& c, call_outcome how, std::int64_t message_id) {
  settlement s;
  s.id = c.id;
  s.outcome = how;
  s.from = c.from;
  s.to = c.to;
  s.label = c.label;
  s.message_id = message_id;
  return s;
}

chat_key key_in(shard_id s, int nth) {
  for (std::int64_t id = 1;; ++id)
    if (shard_of_key(chat_key::chat(id)) == s && nth-- == 0)
      return chat_key::chat(id);
}

}  // namespace troupe::store::test
