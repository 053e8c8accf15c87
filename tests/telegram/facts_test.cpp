#include "telegram/facts.hpp"

#include <string>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

namespace {

facts of(std::string_view json) {
  auto read = read_facts(json);
  INFO(json);
  REQUIRE(read.has_value());
  return *read;
}

facts of_text(std::string_view text, std::string_view entities) {
  return of(R"({"update_id":1,"message":{"chat":{"id":5},"entities":)" +
            std::string{entities} + R"(,"text":")" + std::string{text} +
            "\"}}");
}

}  // namespace

TEST_CASE("a message's facts are read, whatever stands between them") {
  auto f = of(R"({"update_id":870001,"message":{"message_id":31,
    "from":{"id":77,"is_bot":true,"first_name":"A\u00e9","last_name":"B",
            "username":"ab","language_code":"de","extra":{"id":1}},
    "chat":{"id":-1001,"type":"supergroup","title":"T"},
    "reply_to_message":{"message_id":1,"text":"no","chat":{"id":2}},
    "date":1700000000,"message_thread_id":4,"text":"hello \"you\""}})");
  CHECK(f.id == update_id{870001});
  CHECK(f.kind == update_kind::message);
  CHECK(f.message_id == 31);
  CHECK(f.user_id == 77);
  CHECK(f.user_is_bot);
  CHECK(f.first_name == "Aé");
  CHECK(f.last_name == "B");
  CHECK(f.username == "ab");
  CHECK(f.language == "de");
  CHECK(f.chat_id == -1001);
  CHECK(f.chat_type == "supergroup");
  CHECK(f.date == 1700000000);
  CHECK(f.thread_id == 4);
  CHECK(f.text == "hello \"you\"");
  CHECK(f.is_text);
  CHECK_FALSE(f.is_command);
}

TEST_CASE("a caption stands for the text, but is not one") {
  auto f = of(R"({"update_id":1,"channel_post":{"chat":{"id":-5},
    "caption":"/pic now","caption_entities":
    [{"type":"bot_command","offset":0,"length":4}]}})");
  CHECK(f.text == "/pic now");
  CHECK_FALSE(f.is_text);
  CHECK(f.is_command);
  CHECK(f.command == "pic");
  CHECK(f.arguments == "now");
}

TEST_CASE("a command is what a bot_command entity at the start marks") {
  auto f = of_text("/start@Shop_bot  deep link ",
                   R"([{"offset":0,"length":15,"type":"bot_command"}])");
  CHECK(f.is_command);
  CHECK(f.command == "start");
  CHECK(f.command_bot == "Shop_bot");
  CHECK(f.arguments == "deep link");

  f = of_text("/Cart", R"([{"type":"bold","offset":0,"length":5},
    {"type":"bot_command","offset":0,"length":5}])");
  CHECK(f.command == "Cart");
  CHECK(f.command_bot.empty());
  CHECK(f.arguments.empty());

  CHECK_FALSE(of_text("/start", "[]").is_command);
  CHECK_FALSE(
      of_text("say /start", R"([{"type":"bot_command","offset":4,"length":6}])")
          .is_command);
  CHECK_FALSE(of_text("xx", R"([{"type":"bot_command","offset":0,"length":2}])")
                  .is_command);
  CHECK_FALSE(of_text("/", R"([{"type":"bot_command","offset":0,"length":1}])")
                  .is_command);
  CHECK_FALSE(
      of_text("/a", R"([{"type":"bot_command","offset":0,"length":-2}])")
          .is_command);
}

TEST_CASE("entities are measured in UTF-16 units and may lie") {
  // A letter outside the BMP counts as two units.
  auto f = of_text("/a\xf0\x9f\x98\x80 b",
                   R"([{"type":"bot_command","offset":0,"length":4}])");
  CHECK(f.command == "a😀");
  CHECK(f.arguments == "b");
  f = of_text("/ab c", R"([{"type":"bot_command","offset":0,
                           "length":9223372036854775807}])");
  CHECK(f.command == "ab c");
  CHECK(f.arguments.empty());
}

TEST_CASE("a press carries its presser, its data and the message under it") {
  auto f = of(R"({"update_id":1,"callback_query":{"id":"4382bfdwdsb323b2d9",
    "from":{"id":77,"first_name":"P"},"data":"pay","chat_instance":"-3",
    "message":{"message_id":9,"from":{"id":1,"is_bot":true,"first_name":"Bot"},
      "chat":{"id":42,"type":"private"},"date":17,"text":"/go on",
      "entities":[{"type":"bot_command","offset":0,"length":3}]}}})");
  CHECK(f.kind == update_kind::callback_query);
  CHECK(f.query_id == "4382bfdwdsb323b2d9");
  CHECK(f.data == "pay");
  CHECK(f.user_id == 77);
  CHECK(f.first_name == "P");
  CHECK_FALSE(f.user_is_bot);
  CHECK(f.chat_id == 42);
  CHECK(f.message_id == 9);
  CHECK(f.text == "/go on");
  CHECK_FALSE(f.is_command);

  f = of(R"({"update_id":1,"callback_query":{"id":12,"from":{"id":77},
    "inline_message_id":"AAA","message":null}})");
  CHECK(f.query_id == "12");
  CHECK(f.inline_message_id == "AAA");
  CHECK(f.chat_id == 0);
}

TEST_CASE("queries, members and others give what they have") {
  auto f = of(R"({"update_id":1,"inline_query":{"id":134567890097,
    "from":{"id":77},"query":"cats","offset":""}})");
  CHECK(f.query_id == "134567890097");
  CHECK(f.data == "cats");

  f = of(R"({"update_id":1,"my_chat_member":{"chat":{"id":42,"type":"private"},
    "from":{"id":42},"date":5,"old_chat_member":{"status":"member",
    "user":{"id":1}},"new_chat_member":{"user":{"id":1},"status":"kicked"}}})");
  CHECK(f.old_status == "member");
  CHECK(f.new_status == "kicked");
  CHECK(f.user_id == 42);
  CHECK(f.date == 5);

  f = of(R"({"update_id":1,"business_connection":{"id":"b","user":{"id":7},
    "user_chat_id":8}})");
  CHECK(f.chat_id == 8);
  CHECK(f.user_id == 7);
  CHECK(f.query_id.empty());

  f = of(R"({"update_id":1,"message":{"chat":{"id":-5},
    "migrate_to_chat_id":-1001234567890}})");
  CHECK(f.migrate_to == -1001234567890);
  f = of(R"({"update_id":1,"message":{"chat":{"id":-1001},
    "migrate_from_chat_id":-5}})");
  CHECK(f.migrate_from == -5);

  f = of(R"({"update_id":1,"message_reaction":{"chat":{"id":-5},
    "message_id":3,"user":{"id":7},"date":9}})");
  CHECK(f.message_id == 3);
  CHECK(f.user_id == 7);
}

TEST_CASE("a member of an unexpected type counts as absent") {
  auto f = of(R"({"update_id":1,"message":{"message_id":"x","from":[],
    "chat":7,"text":{"a":1},"entities":{"a":[1]},"date":1.5,
    "caption":3,"caption_entities":[1,"x",{"type":1,"offset":[],"length":{}}]
    }})");
  CHECK(f.message_id == 0);
  CHECK(f.user_id == 0);
  CHECK(f.chat_id == 0);
  CHECK(f.text.empty());
  CHECK_FALSE(f.is_text);
  CHECK(f.date == 0);
}

TEST_CASE("facts of a skipped payload leave no trace") {
  auto f = of(R"({"novelty":{"chat":{"id":1},"from":{"id":2},"date":3},
    "update_id":1,"inline_query":{"id":"q","query":"x"},
    "message":{"text":"later"}})");
  CHECK(f.kind == update_kind::inline_query);
  CHECK(f.chat_id == 0);
  CHECK(f.user_id == 0);
  CHECK(f.date == 0);
  CHECK(f.text.empty());
  CHECK(f.data == "x");
}
