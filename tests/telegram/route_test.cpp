#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "telegram/update.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

namespace {

struct row {
  update_kind kind;
  std::string_view payload;
  chat_key key;
};

chat_key opaque(std::string_view id) {
  return {chat_key::kind::opaque, stable_hash(id)};
}

std::string update(std::string_view kind, std::string_view payload) {
  return "{\"update_id\":9,\n\"" + std::string{kind} +
         "\":" + std::string{payload} + "}";
}

const update_id nine{9};

// One row of bot_api/routing.md each: the usual place of the key, surrounded
// by the ids that must not be taken for it.
const std::vector<row>& usual_places() {
  constexpr std::string_view message =
      R"({"message_id":5,"from":{"id":77,"is_bot":false},
          "sender_chat":{"id":-5},"reply_to_message":{"chat":{"id":-6}},
          "chat":{"title":"x","id":-1001234567890,"type":"supergroup"},
          "forward_origin":{"chat":{"id":-7}},"chat_shared":{"chat_id":-8}})";
  const auto group = chat_key::chat(-1001234567890);
  static const std::vector<row> rows{
      {update_kind::message, message, group},
      {update_kind::edited_message, message, group},
      {update_kind::channel_post, message, group},
      {update_kind::edited_channel_post, message, group},
      {update_kind::business_connection,
       R"({"id":"c","user":{"id":77},"user_chat_id":78,"date":1})",
       chat_key::chat(78)},
      {update_kind::business_message, message, group},
      {update_kind::edited_business_message, message, group},
      {update_kind::deleted_business_messages,
       R"({"business_connection_id":"c","chat":{"id":12},"message_ids":[1]})",
       chat_key::chat(12)},
      {update_kind::guest_message,
       R"({"guest_query_id":"g","chat":{"id":-12},"from":{"id":77}})",
       chat_key::chat(-12)},
      {update_kind::stopped_message_generation,
       R"({"chat":{"id":12},"draft_id":4,"message_thread_id":3})",
       chat_key::chat(12)},
      {update_kind::message_reaction,
       R"({"user":{"id":77},"actor_chat":{"id":-3},"chat":{"id":-12}})",
       chat_key::chat(-12)},
      {update_kind::message_reaction_count,
       R"({"chat":{"id":-12},"reactions":[{"total_count":1}]})",
       chat_key::chat(-12)},
      {update_kind::inline_query,
       R"({"id":"123","from":{"id":77},"chat_type":"sender","query":"q"})",
       chat_key::chat(77)},
      {update_kind::chosen_inline_result,
       R"({"result_id":"1","from":{"id":77},"inline_message_id":"i"})",
       chat_key::chat(77)},
      {update_kind::callback_query,
       R"({"id":"1","from":{"id":77},"chat_instance":"-4",
           "message":{"from":{"id":3},"date":0,"chat":{"id":-12}}})",
       chat_key::chat(-12)},
      {update_kind::shipping_query, R"({"id":"1","from":{"id":77}})",
       chat_key::chat(77)},
      {update_kind::pre_checkout_query, R"({"id":"1","from":{"id":77}})",
       chat_key::chat(77)},
      {update_kind::purchased_paid_media, R"({"from":{"id":77}})",
       chat_key::chat(77)},
      {update_kind::poll, R"({"id":"5188410146715337040","options":[]})",
       chat_key::poll(5188410146715337040)},
      {update_kind::poll_answer,
       R"({"voter_chat":{"id":-5},"user":{"id":77},"poll_id":"51"})",
       chat_key::poll(51)},
      {update_kind::my_chat_member,
       R"({"from":{"id":77},"new_chat_member":{"user":{"id":1}},
           "chat":{"id":-12}})",
       chat_key::chat(-12)},
      {update_kind::chat_member, R"({"from":{"id":77},"chat":{"id":-12}})",
       chat_key::chat(-12)},
      {update_kind::chat_join_request,
       R"({"user_chat_id":77,"from":{"id":77},"chat":{"id":-12}})",
       chat_key::chat(-12)},
      {update_kind::chat_boost,
       R"({"boost":{"source":{"user":{"id":77}}},"chat":{"id":-12}})",
       chat_key::chat(-12)},
      {update_kind::removed_chat_boost,
       R"({"source":{"user":{"id":77}},"chat":{"id":-12}})",
       chat_key::chat(-12)},
      {update_kind::managed_bot, R"({"bot":{"id":6},"user":{"id":77}})",
       chat_key::chat(77)},
      {update_kind::subscription, R"({"user":{"id":77},"state":"active"})",
       chat_key::chat(77)},
  };
  return rows;
}

}  // namespace

TEST_CASE("every kind of update is routed by its own place") {
  CHECK(usual_places().size() == 27);
  for (const auto& [kind, payload, key] : usual_places()) {
    INFO(to_string(kind));
    auto where = route(update(to_string(kind), payload));
    REQUIRE(where.has_value());
    CHECK(where->id == nine);
    CHECK(where->kind == kind);
    CHECK(where->key == key);
  }
}

TEST_CASE("where the usual place is empty the key falls back") {
  const std::vector<row> rows{
      {update_kind::business_connection, R"({"user":{"id":77}})",
       chat_key::chat(77)},
      {update_kind::guest_message, R"({"guest_query_id":"g","text":"x"})",
       opaque("g")},
      {update_kind::guest_message, R"({"guest_query_id":"123"})",
       opaque("123")},
      {update_kind::callback_query,
       R"({"inline_message_id":"i","from":{"id":77},"message":null})",
       chat_key::chat(77)},
      {update_kind::poll, R"({"id":51})", chat_key::poll(51)},
      {update_kind::poll, R"({"id":"p-51"})", opaque("p-51")},
      {update_kind::poll, R"({"id":"18446744073709551615"})",
       opaque("18446744073709551615")},
      {update_kind::poll_answer, R"({"user":{"id":77}})", chat_key::chat(77)},
      {update_kind::poll_answer, R"({"voter_chat":{"id":-5}})",
       chat_key::chat(-5)},
      {update_kind::chat_join_request, R"({"user_chat_id":78})",
       chat_key::chat(78)},
      {update_kind::managed_bot, R"({"bot":{"id":6}})", chat_key::chat(6)},
      {update_kind::message, R"({"chat":{"id":"-42"}})", chat_key::chat(-42)},
      {update_kind::message, R"({"from":{"id":77}})", chat_key::chat(77)},
      {update_kind::message, R"({"chat":{},"from":null})",
       chat_key::lone(nine)},
      {update_kind::message, R"({"chat":{"id":4.5}})", chat_key::lone(nine)},
      {update_kind::message, R"({"chat":{"id":0}})", chat_key::lone(nine)},
      {update_kind::message, R"({"chat":[{"id":5}]})", chat_key::lone(nine)},
      {update_kind::message, R"("text")", chat_key::lone(nine)},
      {update_kind::message, R"([])", chat_key::lone(nine)},
      {update_kind::inline_query, R"({"from":7})", chat_key::lone(nine)},
  };
  for (const auto& [kind, payload, key] : rows) {
    INFO(to_string(kind) << " " << payload);
    auto where = route(update(to_string(kind), payload));
    REQUIRE(where.has_value());
    CHECK(where->kind == kind);
    CHECK(where->key == key);
  }
}

TEST_CASE("an unknown kind is routed by the first id it shows") {
  const std::vector<std::pair<std::string_view, chat_key>> rows{
      {R"({"chat":{"id":-12},"from":{"id":77}})", chat_key::chat(-12)},
      {R"({"from":{"id":77},"message":{"chat":{"id":5}}})", chat_key::chat(5)},
      {R"({"user":{"id":78},"from":{"id":77}})", chat_key::chat(77)},
      {R"({"user":{"id":78}})", chat_key::chat(78)},
      {R"({"id":5})", chat_key::lone(nine)},
      {"17", chat_key::lone(nine)},
  };
  for (const auto& [payload, key] : rows) {
    INFO(payload);
    auto where = route(update("kind_of_tomorrow", payload));
    REQUIRE(where.has_value());
    CHECK(where->kind == update_kind::unknown);
    CHECK(where->key == key);
  }
}

TEST_CASE("an update with nothing but its id is ordered with nothing") {
  for (auto text : {R"({"update_id":9})", R"({"update_id":9,"message":null})",
                    R"( { "update_id" : 9 } )"}) {
    auto where = route(text);
    REQUIRE(where.has_value());
    CHECK(where->kind == update_kind::none);
    CHECK(where->key == chat_key::lone(nine));
  }
}

TEST_CASE("of several payloads the first known one counts") {
  auto where = route(R"({"note":{"chat":{"id":1}},"update_id":9,
    "edited_message":null,"callback_query":{"from":{"id":2}},
    "message":{"chat":{"id":3}},"other":{"chat":{"id":4}}})");
  REQUIRE(where.has_value());
  CHECK(where->kind == update_kind::callback_query);
  CHECK(where->key == chat_key::chat(2));
}

TEST_CASE("of two members with one name the first counts") {
  auto where = route(R"({"update_id":9,"update_id":10,
    "message":{"chat":{"id":1,"id":2},"chat":{"id":3}},
    "message":{"chat":{"id":4}}})");
  REQUIRE(where.has_value());
  CHECK(where->id == nine);
  CHECK(where->key == chat_key::chat(1));
}

TEST_CASE("members may come in any order and be written with escapes") {
  auto where = route(
      R"({"\u006dessage":{"ch\u0061t":{"type":"private","id":5}},"update\u005fid":9})");
  REQUIRE(where.has_value());
  CHECK(where->id == nine);
  CHECK(where->kind == update_kind::message);
  CHECK(where->key == chat_key::chat(5));
}

TEST_CASE("update_id is an integer of 64 bits or digits in a string") {
  auto id_of = [](std::string_view id) {
    return route("{\"update_id\":" + std::string{id} + "}");
  };
  for (auto text : {"2147483648", "\"2147483648\""}) {
    REQUIRE(id_of(text).has_value());
    CHECK(id_of(text)->id.value == 2147483648);
  }
  REQUIRE(id_of("9223372036854775807").has_value());
  CHECK(id_of("9223372036854775807")->id.value == INT64_MAX);
  CHECK(id_of("0").has_value());
  for (auto text : {"9223372036854775808", "-1", "-9223372036854775808",
                    "-9223372036854775809", "1.0", "1e3", "null", "true", "{}",
                    "[1]", "\"\"", "\"x\"", "\" 1\"", "18446744073709551616"}) {
    INFO(text);
    auto where = id_of(text);
    REQUIRE_FALSE(where.has_value());
    CHECK(where.error().code == errc::bad_input);
  }
}

TEST_CASE("chat ids keep all their 64 bits") {
  for (auto id : {std::int64_t{9007199254740993},
                  std::numeric_limits<std::int64_t>::max(),
                  std::numeric_limits<std::int64_t>::min()}) {
    auto where = route(
        update("message", "{\"chat\":{\"id\":" + std::to_string(id) + "}}"));
    REQUIRE(where.has_value());
    CHECK(where->key == chat_key::chat(id));
  }
  auto beyond =
      route(update("message", R"({"chat":{"id":9223372036854775808}})"));
  REQUIRE(beyond.has_value());
  CHECK(beyond->key == chat_key::lone(nine));
}

TEST_CASE("kinds are written as Telegram names them") {
  for (const auto& each : usual_places())
    CHECK(parse_update_kind(to_string(each.kind)) == each.kind);
  CHECK(to_string(update_kind::none) == "none");
  CHECK(to_string(update_kind::unknown) == "unknown");
  for (auto name : {"", "none", "Message", "messages", "update_id"})
    CHECK(parse_update_kind(name) == update_kind::unknown);
}

TEST_CASE("only inline queries and their results go stale") {
  for (const auto& each : usual_places()) {
    auto life = useful_life(each.kind);
    if (each.kind == update_kind::inline_query)
      CHECK(life == milliseconds{30'000});
    else if (each.kind == update_kind::chosen_inline_result)
      CHECK(life == milliseconds{600'000});
    else
      CHECK_FALSE(life.has_value());
  }
}
