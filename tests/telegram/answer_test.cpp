#include <string>
#include <string_view>
#include <vector>

#include "core/log.hpp"
#include "telegram/call.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

namespace {

std::string refusal(int code, std::string_view description,
                    std::string_view more = "") {
  return "{\"ok\":false,\"error_code\":" + std::to_string(code) +
         ",\"description\":\"" + std::string{description} + "\"" +
         std::string{more} + "}";
}

answer read(unsigned status, std::string_view body,
            std::string_view header = "") {
  return read_answer(status, body, header);
}

struct row {
  int code;
  std::string_view description;
  verdict what;
};

}  // namespace

TEST_CASE("what Telegram accepted is sent, with the message's id") {
  auto a = read(200, R"({"ok":true,"result":{"message_id":31,"date":1,
    "chat":{"id":5},"reply_to_message":{"message_id":7}}})");
  CHECK(a.what == verdict::sent);
  CHECK(a.message_id == 31);
  CHECK(a.description.empty());
  CHECK(read(200, R"({"result":{"chat":{},"message_id":5},"ok":true})")
            .message_id == 5);
  CHECK(read(200, R"({"ok":true,"result":true})").what == verdict::sent);
  CHECK(read(200, R"({"ok":true,"result":true})").message_id == 0);
  CHECK(read(201, R"({"ok":true,"result":[]})").what == verdict::sent);
  CHECK(read(200, R"({"ok":true,"result":[{"message_id":8},{"message_id":9}]})")
            .message_id == 8);
}

TEST_CASE("every row of the error table has its class") {
  const std::vector<row> rows{
      {400, "Bad Request: chat not found", verdict::chat_gone},
      {400,
       "Bad Request: message is not modified: specified new message "
       "content and reply markup are exactly the same",
       verdict::not_modified},
      {400, "Bad Request: message to edit not found", verdict::refused},
      {400, "Bad Request: message to delete not found", verdict::refused},
      {400, "Bad Request: message to be replied not found", verdict::refused},
      {400, "Bad Request: message can't be edited", verdict::refused},
      {400,
       "Bad Request: query is too old and response timeout expired or "
       "query ID is invalid",
       verdict::too_late},
      {400, "Bad Request: QUERY_ID_INVALID", verdict::too_late},
      {400, "Bad Request: message text is empty", verdict::refused},
      {400, "Bad Request: message is too long", verdict::refused},
      {400, "Bad Request: can't parse entities: unexpected end tag",
       verdict::refused},
      {400, "Bad Request: BUTTON_DATA_INVALID", verdict::refused},
      {400, "Bad Request: file is too big", verdict::refused},
      {400, "Bad Request: wrong file_id or the file is temporarily unavailable",
       verdict::refused},
      {400, "Bad Request: not enough rights to send text messages to the chat",
       verdict::refused},
      {400, "Bad Request: TOPIC_CLOSED", verdict::refused},
      {400, "Bad Request: chat_id is empty", verdict::refused},
      {400, "Bad Request: user not found", verdict::refused},
      {400, "Bad Request: PEER_ID_INVALID", verdict::chat_gone},
      {400, "Bad Request: group chat was upgraded to a supergroup chat",
       verdict::chat_gone},
      {400, "Logged out", verdict::bad_token},
      {401, "Unauthorized", verdict::bad_token},
      {401, "Unauthorized: invalid token specified", verdict::bad_token},
      {401, "Unauthorized: bot can't initiate conversation with a user",
       verdict::chat_gone},
      {403, "Forbidden: bot was blocked by the user", verdict::chat_gone},
      {403, "Forbidden: user is deactivated", verdict::chat_gone},
      {403, "Forbidden: bot was kicked from the supergroup chat",
       verdict::chat_gone},
      {403, "Forbidden: bot is not a member of the channel chat",
       verdict::chat_gone},
      {403, "Forbidden: the group chat was deleted", verdict::chat_gone},
      {403, "Forbidden: bot can't initiate conversation with a user",
       verdict::chat_gone},
      {403, "Forbidden: the bot can't send messages to the bot",
       verdict::chat_gone},
      {400, "bot can't send messages to bots", verdict::chat_gone},
      {404, "Not Found", verdict::bad_token},
      {404, "[Error]: Not Found", verdict::bad_token},
      {404, "", verdict::bad_token},
      {404, "Not Found: method not found", verdict::refused},
      {404, "User not found", verdict::refused},
      {409,
       "Conflict: terminated by other getUpdates request; make sure that "
       "only one bot instance is running",
       verdict::conflict},
      {413, "Request Entity Too Large", verdict::refused},
      {421, "Misdirected Request: unallowed token specified",
       verdict::bad_token},
      {429, "Too Many Requests: retry after 14", verdict::retry_after},
      {500, "Internal Server Error: restart", verdict::try_again},
      {500,
       "Internal Server Error: sent message was immediately deleted and "
       "can't be returned",
       verdict::try_again},
      {502, "Bad Gateway", verdict::try_again},
      {504, "Gateway Timeout", verdict::try_again},
  };
  for (const auto& [code, description, what] : rows) {
    INFO(code << " " << description);
    auto body = refusal(code, description);
    auto a = read(static_cast<unsigned>(code), body);
    CHECK(to_string(a.what) == to_string(what));
    CHECK(a.code == code);
    CHECK(a.description == description);
    CHECK(a.message_id == 0);
    // Some servers answer everything with 200.
    CHECK(read(200, body).what == what);
  }
}

TEST_CASE("a dead user is told from one who blocked the bot") {
  CHECK(read(403, refusal(403, "Forbidden: user is deactivated"))
            .blocked_for_good);
  CHECK_FALSE(read(403, refusal(403, "Forbidden: bot was blocked by the user"))
                  .blocked_for_good);
}

TEST_CASE("a 429 says how long to wait, wherever it says so") {
  auto wait = [](const answer& a) {
    CHECK(a.what == verdict::retry_after);
    return a.retry_after.count();
  };
  const auto plain = refusal(429, "Too Many Requests");
  CHECK(wait(read(429, refusal(429, "Too Many Requests: retry after 14",
                               R"(,"parameters":{"retry_after":14})"))) ==
        14'000);
  CHECK(wait(read(429, refusal(429, "Too Many Requests: retry after 7"))) ==
        7'000);
  CHECK(wait(read(429, plain, "3")) == 3'000);
  CHECK(wait(read(429, plain, " 3 ")) == 3'000);
  CHECK(wait(read(429, plain)) == 5'000);
  CHECK(wait(read(429, plain, "Wed, 21 Oct 2026 07:28:00 GMT")) == 5'000);
  CHECK(wait(read(429, "", "60")) == 60'000);
  CHECK(wait(read(429, "<html>slow down</html>")) == 5'000);
  // The body's number counts, not the header's.
  CHECK(wait(read(429, refusal(429, "x", R"(,"parameters":{"retry_after":2})"),
                  "9")) == 2'000);
  // Hours occur; zero, less, and the absurd are not believed.
  CHECK(wait(read(429, refusal(429, "x",
                               R"(,"parameters":{"retry_after":10072})"))) ==
        10'072'000);
  for (auto n : {"0", "-5", "1.5", "null", "99999999999999999999"})
    CHECK(wait(read(429, refusal(429, "x",
                                 R"(,"parameters":{"retry_after":)" +
                                     std::string{n} + "}"))) == 5'000);
  CHECK(wait(read(429, refusal(429, "x",
                               R"(,"parameters":{"retry_after":)"
                               "9223372036854775807}"))) == 86'400'000);
}

TEST_CASE("a 429 wrapped into a 400 is a 429") {
  auto a =
      read(400, refusal(400,
                        "Bad Request: failed to send message #1 with the error "
                        "message \\\"Too Many Requests: retry after 8\\\""));
  CHECK(a.what == verdict::retry_after);
  CHECK(a.retry_after == milliseconds{8'000});
}

TEST_CASE("an upgraded group names its new id") {
  auto a = read(400, refusal(400,
                             "Bad Request: group chat was upgraded to a "
                             "supergroup chat",
                             R"(,"parameters":{"migrate_to_chat_id":)"
                             "-1001234567890}"));
  CHECK(a.what == verdict::migrated);
  CHECK(a.migrate_to == -1001234567890);
}

TEST_CASE("bodies that are no JSON are judged by the status") {
  const std::string html = "<html><head><title>502 Bad Gateway</title></html>";
  for (std::string_view body :
       {std::string_view{html}, std::string_view{}, std::string_view{"[]"},
        std::string_view{"\xff\xfe"}}) {
    CHECK(read(502, body).what == verdict::try_again);
    CHECK(read(413, body).what == verdict::refused);
    CHECK(read(400, body).what == verdict::refused);
    // A proxy's page must not end the bot.
    CHECK(read(401, body).what == verdict::try_again);
    CHECK(read(404, body).what == verdict::try_again);
    CHECK(read(409, body).what == verdict::conflict);
    CHECK(read(408, body).what == verdict::try_again);
    CHECK(read(301, body).what == verdict::try_again);
    CHECK(read(200, body).what == verdict::try_again);
    CHECK(read(0, body).what == verdict::try_again);
    CHECK(read(4'000'000'000u, body).what == verdict::try_again);
    // Not Telegram's: it must not strike a chat off.
    CHECK(read(403, body).what == verdict::try_again);
    CHECK(read(502, body).description ==
          "HTTP status 502 without an answer in JSON");
  }
}

TEST_CASE("an answer that breaks off is believed as far as it goes") {
  CHECK(read(200, R"({"ok":true,"result":{"message_id":31,"da)").what ==
        verdict::sent);
  CHECK(read(200, R"({"ok":tr)").what == verdict::try_again);
  CHECK(read(200, R"({"result":{"message_id":31},"ok)").what ==
        verdict::try_again);
  auto a = read(429, R"({"ok":false,"error_code":429,"descrip)", "4");
  CHECK(a.what == verdict::retry_after);
  CHECK(a.retry_after == milliseconds{4'000});
  CHECK(read(403, R"({"ok":false,"error_code":403,"descr)").what ==
        verdict::chat_gone);
}

TEST_CASE("only ok:true with a 2xx is a success") {
  CHECK(read(200, R"({"ok":false})").what == verdict::try_again);
  CHECK(read(200, R"({"ok":"true"})").what == verdict::try_again);
  CHECK(read(200, R"({})").what == verdict::try_again);
  CHECK(read(500, R"({"ok":true,"result":{"message_id":3}})").what ==
        verdict::try_again);
  CHECK(read(500, R"({"ok":true,"result":{"message_id":3}})").message_id == 0);
  CHECK(read(400, R"({"ok":true})").what == verdict::refused);
}

TEST_CASE("codes nobody knows fall back to the status") {
  CHECK(read(400, refusal(42, "evil")).what == verdict::refused);
  CHECK(read(500, refusal(111, "x")).what == verdict::try_again);
  CHECK(read(200, refusal(111, "x")).what == verdict::try_again);
  CHECK(read(418, refusal(418, "teapot")).what == verdict::refused);
}

TEST_CASE("G12: a description never repeats a secret and is bounded") {
  log::add_secret("555:answers-secret");
  auto a = read(404, refusal(404, "no /bot555:answers-secret/x not found"));
  CHECK(a.description == "no /bot***/x not found");
  std::string lengthy;
  for (int i = 0; i < 100'000; ++i)
    lengthy += "é";
  auto b = read(400, refusal(400, "x" + lengthy));
  CHECK(b.description.size() <= 1024);
  CHECK(b.description.size() > 1000);
  CHECK(b.description.substr(1) == lengthy.substr(0, b.description.size() - 1));
}

TEST_CASE("a chat is given up only for what was said of it") {
  auto gone = [](const char* method, int code, const char* why,
                 std::int64_t to = 42) {
    auto a = read(static_cast<unsigned>(code), refusal(code, why));
    REQUIRE(a.what == verdict::chat_gone);
    return concerns_destination(a, method, chat_key::chat(to));
  };
  const auto* nowhere = "Bad Request: chat not found";
  const auto* blocked = "Forbidden: bot was blocked by the user";
  CHECK(gone("sendMessage", 400, nowhere));
  CHECK(gone("SendMessage", 403, blocked));
  CHECK(gone("sendChatAction", 400, nowhere));
  CHECK(gone("editMessageText", 400, nowhere));
  CHECK(gone("copyMessage", 403, blocked));
  CHECK(gone("sendMessage", 403, "Forbidden: user is deactivated"));
  // Where it comes from, or whom it names, may be what is not there.
  CHECK_FALSE(gone("copyMessage", 400, nowhere));
  CHECK_FALSE(gone("forwardMessages", 400, nowhere));
  CHECK_FALSE(gone("getChatMember", 400, nowhere));
  CHECK_FALSE(
      gone("banChatMember", 400, "Bad Request: INPUT_USER_DEACTIVATED", -100));
  CHECK_FALSE(gone("approveChatJoinRequest", 403,
                   "Forbidden: user is deactivated", -100));
  CHECK_FALSE(concerns_destination(read(200, R"({"ok":true,"result":true})"),
                                   "sendMessage", chat_key::chat(42)));
}

TEST_CASE("the result comes out as it stands") {
  CHECK(result_of(
            R"({"ok":true, "result" : {"id":9007199254740993, "a":[]} })") ==
        R"({"id":9007199254740993, "a":[]})");
  CHECK(result_of(R"({"ok":true,"result":true})") == "true");
  CHECK(result_of(R"({"ok":false})").empty());
  CHECK(result_of(R"({"result":{"a":1)").empty());
  CHECK(result_of("").empty());
}
