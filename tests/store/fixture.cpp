#include "tests/store/fixture.hpp"

#include <cstdlib>
#include <system_error>

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
  return {"memory", "sqlite", "shared memory", "faulty memory",
          "faulty sqlite"};
}

store_fixture::store_fixture(std::string kind)
    : kind_{std::move(kind)}, store_{std::make_unique<sync_store>(make())} {}

std::unique_ptr<backend> store_fixture::make() {
  options how;
  how.shards = shard_count;
  how.time = &time;
  how.url = durable()     ? "sqlite:" + dir_.file("store.db")
            : exclusive() ? "memory:"
                          : "memory:" + dir_.file("shared");
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
