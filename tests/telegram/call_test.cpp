#include "telegram/call.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

TEST_CASE("what sends or edits a message is paced, answers are not") {
  for (auto method :
       {"sendMessage", "SENDMESSAGE", "sendMediaGroup", "sendDice",
        "sendInvoice", "sendRichMessage", "editMessageText",
        "editMessageReplyMarkup", "editEphemeralMessageText", "copyMessage",
        "copyMessages", "forwardMessage", "forwardMessages", "stopPoll",
        "setGameScore", "stopMessageLiveLocation"})
    CHECK(lane_of(method) == lane::chat);
  for (auto method :
       {"answerCallbackQuery", "answerInlineQuery", "answerPreCheckoutQuery",
        "answerShippingQuery", "answerWebAppQuery", "answerGuestQuery",
        "ANSWERCALLBACKQUERY"})
    CHECK(lane_of(method) == lane::immediate);
  for (auto method : {"getMe", "getFile", "deleteMessage", "sendChatAction",
                      "editForumTopic", "editChatInviteLink", "setMyCommands",
                      "banChatMember", "", "send", "resendMessage"}) {
    INFO(method);
    CHECK(lane_of(method) ==
          (std::string_view{method} == "send" ? lane::chat : lane::free));
  }
  CHECK(is_edit("editMessageCaption"));
  CHECK(is_edit("EDITMESSAGETEXT"));
  CHECK_FALSE(is_edit("editForumTopic"));
  CHECK_FALSE(is_edit("sendMessage"));
}

TEST_CASE("an album costs as many messages as it has") {
  CHECK(cost_of("sendMessage", R"({"chat_id":1})") == 1);
  CHECK(cost_of("sendMediaGroup", R"({"media":[{"a":[1,2]},{},{}]})") == 3);
  CHECK(cost_of("sendmediagroup", R"({"media":"[{\"a\":\"x,y\"},{}]"})") == 2);
  CHECK(cost_of("copyMessages", R"({"message_ids":[1,2,3,4]})") == 4);
  CHECK(cost_of("forwardMessages", R"({"message_ids": [ 1 ]})") == 1);
  CHECK(cost_of("sendMediaGroup", R"({"media":[]})") == 1);
  CHECK(cost_of("sendMediaGroup", R"({"chat_id":1})") == 1);
  CHECK(cost_of("sendMediaGroup", "garbage") == 1);
  CHECK(cost_of("sendMediaGroup", R"({"media":[1,2)") == 1);
  CHECK(cost_of("answerCallbackQuery", "{}") == 0);
  CHECK(cost_of("getChat", "{}") == 0);
  std::string many = "{\"message_ids\":[0";
  for (int i = 0; i < 70'000; ++i)
    many += ",1";
  CHECK(cost_of("copyMessages", many + "]}") == UINT16_MAX);
}

TEST_CASE("a call goes to its chat, else to its user, else home") {
  const auto home = chat_key::chat(7);
  auto to = [&](std::string_view body) { return destination_of(body, home); };
  CHECK(to(R"({"chat_id":-1001234567890,"text":"x"})") ==
        chat_key::chat(-1001234567890));
  CHECK(to(R"({"text":"chat_id","chat_id":"42"})") == chat_key::chat(42));
  CHECK(to(R"({"chat_id":9223372036854775807})") == chat_key::chat(INT64_MAX));
  CHECK(to(R"({"chat_id":"@Channel"})") == to(R"({"chat_id":"@channel"})"));
  CHECK(to(R"({"chat_id":"@channel"})").type == chat_key::kind::opaque);
  CHECK_FALSE(to(R"({"chat_id":"@a"})") == to(R"({"chat_id":"@b"})"));
  CHECK(to(R"({"user_id":5,"gift_id":"g"})") == chat_key::chat(5));
  CHECK(to(R"({"user_id":5,"chat_id":6})") == chat_key::chat(6));
  CHECK(to(R"({"chat\u005fid":6})") == chat_key::chat(6));
  for (auto body : {"{}", "", "[]", R"({"chat_id":null})", R"({"chat_id":""})",
                    R"({"chat_id":1.5})", R"({"chat_id":{"chat_id":3}})",
                    R"({"x":{"chat_id":3}})", R"({"chat_id":0})"}) {
    INFO(body);
    CHECK(to(body) == home);
  }
}

TEST_CASE("putting a message id in changes nothing else") {
  CHECK(with_message_id(R"({"chat_id":9007199254740993,"text":"x"})", 5) ==
        R"({"message_id":5,"chat_id":9007199254740993,"text":"x"})");
  CHECK(
      with_message_id(R"({ "text" : "\u00e9" , "message_id" : 4 , "n":1e2})",
                      -9223372036854775807 - 1) ==
      R"({ "text" : "\u00e9" , "message_id" : -9223372036854775808 , "n":1e2})");
  CHECK(with_message_id("{}", 5) == R"({"message_id":5})");
  CHECK(with_message_id(" { } ", 5) == R"( {"message_id":5 } )");
  CHECK(with_message_id(R"({"reply":{"message_id":1}})", 5) ==
        R"({"message_id":5,"reply":{"message_id":1}})");
  CHECK(with_message_id(R"({"message_id":"4"})", 5) == R"({"message_id":5})");
  CHECK(with_message_id("[]", 5) == "[]");
}

TEST_CASE("a chat id is replaced, not added") {
  CHECK(with_chat_id(R"({"chat_id":-5,"text":"chat_id"})", -1001) ==
        R"({"chat_id":-1001,"text":"chat_id"})");
  CHECK(with_chat_id(R"({"chat_id":"-5"})", -1001) == R"({"chat_id":-1001})");
  CHECK(with_chat_id(R"({"user_id":5})", 6) == R"({"user_id":5})");
}

TEST_CASE("bot tokens are told from what only looks like one") {
  const std::string secret = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
  CHECK(valid_token("123456:" + secret));
  CHECK(valid_token("18014398509481983:" + secret));
  for (std::string bad :
       {std::string{}, std::string{"123456"}, "0123456:" + secret,
        "-5:" + secret, ":" + secret, "x1:" + secret,
        std::string{"123456:short"}, "123456:" + secret + "/",
        "123456:" + secret + " ", "18014398509481984:" + secret,
        "99999999999999999999:" + secret, "123456:" + secret + ":" + secret,
        "1:" + std::string(90, 'A')}) {
    INFO(bad);
    std::string why;
    CHECK_FALSE(valid_token(bad, &why));
    CHECK_FALSE(why.empty());
    // G12: the reason is shown to people and must not repeat the token.
    CHECK(why.find(secret) == std::string::npos);
    CHECK_FALSE(valid_token(bad));
  }
}

TEST_CASE("webhook secrets keep Telegram's rule") {
  CHECK(valid_secret("aZ09_-"));
  CHECK(valid_secret(std::string(256, 'x')));
  for (std::string bad :
       {std::string{}, std::string(257, 'x'), std::string{"a b"},
        std::string{"a:b"}, std::string{"\xc3\xa9"}, std::string{"a\0b", 3}})
    CHECK_FALSE(valid_secret(bad));
}
