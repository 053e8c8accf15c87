#include <string>
#include <vector>

#include "telegram/update.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

TEST_CASE("an answer's updates come out in order and byte for byte") {
  const std::string first =
      "{\"update_id\":7,\n\"message\":{\"chat\":{\"id\":5},"
      "\"text\":\"a ] } \\\" \\\\\"}}";
  const std::string second = R"({ "update_id" : 8 , "poll" : { "id" : "9" } })";
  auto out = split_updates("{\"ok\":true,\"result\":[" + first + " ,\n " +
                           second + "\n]}");
  REQUIRE(out.has_value());
  REQUIRE(out->size() == 2);
  CHECK((*out)[0].body == first);
  CHECK((*out)[0].where.id == update_id{7});
  CHECK((*out)[0].where.key == chat_key::chat(5));
  CHECK((*out)[1].body == second);
  CHECK((*out)[1].where.key == chat_key::poll(9));
}

TEST_CASE("an empty answer has no updates") {
  for (auto text : {R"({"ok":true,"result":[]})",
                    R"( {"result" : [ ] , "x":{"a":[1]}, "ok" : true } )"}) {
    auto out = split_updates(text);
    REQUIRE(out.has_value());
    CHECK(out->empty());
  }
}

TEST_CASE("G1: a broken update neither hides the others nor stops the offset") {
  for (const auto& broken : std::vector<std::string>{
           R"({"update_id":8,"message":{"text":"\x"}})",
           R"({"update_id":8,"message":{"n":01}})",
           R"({"message":tru,"update_id":"8"})", R"({"update_id":8,"a" 1})",
           "{\"update_id\":8,\"a\":\"\xff\"}",
           "{\"update_id\":8,\"a\":" + std::string(500, '[') +
               std::string(500, ']') + "}"}) {
    INFO(broken);
    auto out = split_updates(R"({"ok":true,"result":[{"update_id":7},)" +
                             broken + R"(,{"update_id":9}]})");
    REQUIRE(out.has_value());
    REQUIRE(out->size() == 3);
    CHECK((*out)[1].where.id == update_id{8});
    // Something to keep, unlike an update that has nothing but its id.
    CHECK((*out)[1].where.kind == update_kind::unknown);
    CHECK((*out)[1].body == broken);
    CHECK_FALSE((*out)[1].trouble.empty());
    CHECK((*out)[0].where.kind == update_kind::none);
    CHECK((*out)[0].trouble.empty());
    CHECK((*out)[1].where.key == chat_key::lone(update_id{8}));
    CHECK((*out)[2].where.id == update_id{9});
  }
}

TEST_CASE("what is no getUpdates answer is refused") {
  for (auto text :
       {"", "x", "[]", "{}", "<html>", R"({"ok":true})", R"({"result":[]})",
        R"({"ok":false,"result":[]})", R"({"ok":true,"result":{}})",
        R"({"ok":true,"result":[})", R"({"ok":true,"result":[{"update_id":1})",
        R"({"ok":true,"result":[{"update_id":1}])",
        R"({"ok":true,"result":[{"message":{}}]})",
        R"({"ok":true,"result":[{"update_id":-1}]})",
        R"({"ok":true,"result":[5]})", R"({"ok":true,"result":[null]})",
        R"({"ok":true,"result":[{"update_id":1} {"update_id":2}]})",
        R"({"ok":true,"result":[{"update_id":1},]})"}) {
    INFO(text);
    auto out = split_updates(text);
    REQUIRE_FALSE(out.has_value());
    CHECK(out.error().code == errc::bad_input);
  }
}

TEST_CASE("a full batch of 100 updates is split") {
  std::string text = R"({"ok":true,"result":[)";
  for (int i = 0; i < 100; ++i)
    text += (i != 0 ? ",{\"update_id\":" : "{\"update_id\":") +
            std::to_string(1000 + i) + R"(,"message":{"chat":{"id":)" +
            std::to_string(i + 1) + R"(},"text":")" + std::string(40'000, 'y') +
            "\"}}";
  auto out = split_updates(text + "]}");
  REQUIRE(out.has_value());
  REQUIRE(out->size() == 100);
  for (int i = 0; i < 100; ++i) {
    CHECK((*out)[static_cast<std::size_t>(i)].where.id.value == 1000 + i);
    CHECK((*out)[static_cast<std::size_t>(i)].where.key ==
          chat_key::chat(i + 1));
  }
}
