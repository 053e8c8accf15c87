#include "core/ids.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>

#include "tests/support/catch.hpp"

using namespace troupe;

TEST_CASE("every chat key is read back from what it was written as") {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  for (auto id : {std::int64_t{0}, std::int64_t{42}, std::int64_t{-1},
                  std::int64_t{-1001234567890}, most, least}) {
    for (auto type :
         {chat_key::kind::chat, chat_key::kind::poll, chat_key::kind::update,
          chat_key::kind::opaque, chat_key::kind::campaign}) {
      chat_key key{type, id};
      auto text = to_string(key);
      INFO(text);
      auto back = parse_chat_key(text);
      REQUIRE(back.has_value());
      CHECK(*back == key);
    }
  }
}

TEST_CASE("what is no chat key is refused with a reason") {
  for (auto text :
       {"", "x", "poll:", "poll:x", "42 ", " 42", "4.2", "+42", "Poll:7",
        "poll:poll:7", "9223372036854775808", "-9223372036854775809"}) {
    INFO(text);
    auto key = parse_chat_key(text);
    REQUIRE_FALSE(key.has_value());
    CHECK(key.error().code == errc::bad_input);
    CHECK(key.error().context.find("not a chat key") != std::string::npos);
  }
}

TEST_CASE("private chats and groups are told apart by the sign") {
  CHECK(chat_key::chat(42).is_private());
  CHECK_FALSE(chat_key::chat(42).is_group());
  CHECK(chat_key::chat(-1001).is_group());
  CHECK_FALSE(chat_key::chat(-1001).is_private());
  CHECK_FALSE(chat_key::poll(42).is_private());
  CHECK_FALSE(chat_key::poll(-42).is_group());
}

TEST_CASE("hashes and shards never change: stores were written with them") {
  CHECK(stable_hash(chat_key::chat(42)) == 13679457532755275413ULL);
  CHECK(stable_hash(chat_key::poll(7)) == 12827629004139108167ULL);
  CHECK(shard_of(chat_key::chat(42), 128) == shard_id{21});
  CHECK(shard_of(chat_key::chat(-1001), 128) == shard_id{71});
  CHECK(shard_of(chat_key::chat(42), 1) == shard_id{0});
  CHECK(stable_hash(std::string_view{"guest"}) == 2197144652439794547);
  CHECK(stable_hash(std::string_view{""}) >= 0);
}

TEST_CASE("keys of different kinds with one number do not collide") {
  std::set<std::uint64_t> hashes;
  std::unordered_set<chat_key> keys;
  for (auto type :
       {chat_key::kind::chat, chat_key::kind::poll, chat_key::kind::update,
        chat_key::kind::opaque, chat_key::kind::campaign}) {
    hashes.insert(stable_hash(chat_key{type, 7}));
    keys.insert(chat_key{type, 7});
  }
  CHECK(hashes.size() == 5);
  CHECK(keys.size() == 5);
}

TEST_CASE("consecutive chat ids spread evenly over the shards") {
  std::array<int, 128> hits{};
  for (std::int64_t id = 1; id <= 128'000; ++id)
    ++hits[shard_of(chat_key::chat(id), 128).value];
  for (int n : hits) {
    CHECK(n > 800);
    CHECK(n < 1200);
  }
}

TEST_CASE("call ids ascend within an epoch and across epochs") {
  CHECK(make_call_id(epoch{1}, 1) < make_call_id(epoch{1}, 2));
  CHECK(make_call_id(epoch{1}, 0xffffffffu) < make_call_id(epoch{2}, 0));
}
