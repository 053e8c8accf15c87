#include "sim/bot.hpp"

#include <cstdlib>
#include <map>

#include "core/json.hpp"
#include "sim/journal.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t alice = 5'000'000'001;
constexpr std::int64_t club = -1'001'500'000'000;

struct bench {
  explicit bench(bot_options how = {}) : telegram{std::move(how)} {
    telegram.chats().at(alice);
    telegram.chats().at(club);
  }

  call_outcome call(
      std::string_view name,
      std::initializer_list<std::pair<std::string, std::string>> with = {}) {
    params p;
    for (auto& [key, value] : with)
      p.add(key, value);
    auto m = find_method(name);
    REQUIRE(m != nullptr);
    return telegram.call(*m, p, now);
  }

  call_outcome say(std::int64_t chat, std::string text) {
    return call("sendMessage",
                {{"chat_id", std::to_string(chat)}, {"text", text}});
  }

  void advance(milliseconds by) {
    now.mono += by;
    now.wall += by;
  }

  bot telegram;
  moment now{mono_time{1h}, from_ms(1'700'000'000'000)};
};

bot_options without_limits() {
  bot_options how;
  how.limits = {0, 0, 0};
  return how;
}

bool says(const call_outcome& c, std::string_view text) {
  return c.answer.body.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("bot: a message comes back as Telegram's Message") {
  bench b;
  auto out = b.say(alice, "hi \"you\"\n");
  REQUIRE(out.answer.status == 200);
  CHECK(out.recorded);
  auto body = parse_json(out.answer.body);
  REQUIRE(body.has_value());
  auto& message = body->at("result").as_object();
  CHECK(message.at("message_id").as_int64() == 1);
  CHECK(message.at("chat").at("id").as_int64() == alice);
  CHECK(message.at("chat").at("type").as_string() == "private");
  CHECK(message.at("from").at("is_bot").as_bool());
  CHECK(message.at("from").at("id").as_int64() == 123456);
  CHECK(message.at("date").as_int64() == 1'700'000'000);
  CHECK(message.at("text").as_string() == "hi \"you\"\n");
}

TEST_CASE("bot: method names are taken in any case, unknown ones are none") {
  CHECK(find_method("SENDmessage") == find_method("sendMessage"));
  CHECK(find_method("sendMessages") == nullptr);
  CHECK(find_method("") == nullptr);
}

TEST_CASE("bot: texts are refused as Telegram refuses them") {
  bench b{without_limits()};
  CHECK(says(b.call("sendMessage", {{"text", "x"}}), "chat_id is empty"));
  CHECK(says(b.say(99, "x"), "Bad Request: chat not found"));
  CHECK(says(b.say(alice, ""), "message text is empty"));
  CHECK(says(b.say(alice, " \n "), "message text is empty"));
  CHECK(b.say(alice, std::string(4096, 'x')).answer.status == 200);
  CHECK(says(b.say(alice, std::string(4097, 'x')), "message is too long"));
  CHECK(says(b.say(alice, std::string(40'000, 'x')), "text is too long"));
  // Code points count, not bytes.
  std::string wide;
  for (int i = 0; i < 4096; ++i)
    wide += "\xc3\xa4";
  CHECK(b.say(alice, wide).answer.status == 200);
  CHECK(says(b.say(alice, wide + "x"), "message is too long"));
}

TEST_CASE("bot: of a text that is far too long only the head is kept") {
  bench b{without_limits()};
  for (auto shift : {0, 1, 2}) {
    std::string wide(static_cast<std::size_t>(shift), 'x');
    while (wide.size() < 1'000'000)
      wide += "\xe2\x82\xac";
    auto out = b.say(alice, wide);
    CHECK(says(out, "text is too long"));
    CHECK(out.text.size() < 33'000);
    CHECK((out.text.size() - static_cast<std::size_t>(shift)) % 3 == 0);
  }
}

TEST_CASE("journal: the calls it remembers are bounded in bytes, too") {
  bench b{without_limits()};
  journal log{nullptr, b.now.mono};
  call_outcome c;
  c.text.assign(32'000, 'x');
  for (int i = 0; i < 2'000; ++i)
    log.call(*find_method("sendMessage"), c, b.now.mono, false);
  auto all = log.calls_since(0);
  CHECK(all.size() > journal::remembered_bytes / 2);
  CHECK(all.size() < journal::remembered_bytes + 100'000);
  CHECK(all.starts_with(R"({"next":2000,)"));
}

TEST_CASE("bot: who has blocked the bot gets nothing") {
  bench b;
  b.telegram.chats().at(alice).blocked = true;
  auto out = b.say(alice, "x");
  CHECK(out.answer.status == 403);
  CHECK(says(out, "Forbidden: bot was blocked by the user"));
  CHECK_FALSE(out.recorded);
}

TEST_CASE("bot: an edit must change something that is there") {
  bench b{without_limits()};
  b.say(alice, "one");
  auto id = std::to_string(alice);
  auto edit = [&](std::string message, std::string text) {
    return b.call("editMessageText", {{"chat_id", id},
                                      {"message_id", std::move(message)},
                                      {"text", std::move(text)}});
  };
  auto changed = edit("1", "two");
  CHECK(changed.answer.status == 200);
  CHECK(says(changed, "\"edit_date\""));
  CHECK(says(edit("1", "two"), "message is not modified"));
  CHECK(says(edit("7", "two"), "message to edit not found"));
  CHECK(says(edit("0", "two"), "message to edit not found"));
  text_update(b.telegram.chats().at(alice), alice, "mine", 0);
  CHECK(says(edit("2", "yours"), "message can't be edited"));
  CHECK(b.call("deleteMessage", {{"chat_id", id}, {"message_id", "1"}})
            .answer.status == 200);
  CHECK(says(edit("1", "three"), "message to edit not found"));
  CHECK(says(b.call("deleteMessage", {{"chat_id", id}, {"message_id", "1"}}),
             "message to delete not found"));
}

TEST_CASE("bot: a changed keyboard is a change, a broken one an error") {
  bench b{without_limits()};
  b.say(alice, "one");
  auto edit = [&](std::string markup) {
    return b.call("editMessageText", {{"chat_id", std::to_string(alice)},
                                      {"message_id", "1"},
                                      {"text", "one"},
                                      {"reply_markup", std::move(markup)}});
  };
  CHECK(edit(R"({"inline_keyboard":[[{"text":"a","callback_data":"a"}]]})")
            .answer.status == 200);
  CHECK(edit(R"({"inline_keyboard":[[{"text":"a","callback_data":"a"}]]})")
            .answer.status == 400);
  CHECK(edit("{nonsense").answer.status == 400);
}

TEST_CASE("bot: old messages are forgotten, yet can be edited") {
  bench b{without_limits()};
  for (int i = 0; i < 100; ++i)
    b.say(alice, "x");
  CHECK(b.telegram.chats().at(alice).sent.size() == chat::remembered);
  CHECK(b.call("editMessageText", {{"chat_id", std::to_string(alice)},
                                   {"message_id", "1"},
                                   {"text", "x"}})
            .answer.status == 200);
}

TEST_CASE("bot: a press is answered within its life, and without a limit") {
  bench b;
  auto id = b.telegram.chats().open_query(b.now.mono);
  for (int i = 0; i < 100; ++i)
    REQUIRE(b.call("answerCallbackQuery", {{"callback_query_id", id}})
                .answer.status == 200);
  CHECK(says(b.call("answerCallbackQuery", {{"callback_query_id", "1"}}),
             "query is too old and response timeout expired or query ID is "
             "invalid"));
  b.advance(150s);
  CHECK(b.call("answerCallbackQuery", {{"callback_query_id", id}})
            .answer.status == 400);
}

TEST_CASE("G7: bot: sends and edits share the chat's window") {
  bench b;
  REQUIRE(b.say(alice, "one").answer.status == 200);
  b.advance(999ms);
  auto early = b.call("editMessageText", {{"chat_id", std::to_string(alice)},
                                          {"message_id", "1"},
                                          {"text", "two"}});
  CHECK(early.answer.status == 429);
  CHECK(early.limit == limit_scope::chat);
  CHECK(early.answer.retry_after == 1);
  CHECK(says(early, "Too Many Requests: retry after 1"));
  CHECK(says(early, R"("parameters":{"retry_after":1})"));
  b.advance(1s);
  CHECK(b.say(alice, "three").answer.status == 200);
}

TEST_CASE("G7: bot: a refused call spends nothing") {
  bench b;
  b.telegram.chats().at(alice).blocked = true;
  for (int i = 0; i < 100; ++i)
    b.say(alice, "x");
  b.telegram.chats().at(alice).blocked = false;
  CHECK(b.say(alice, "x").answer.status == 200);
}

TEST_CASE("G7: bot: an album spends as many messages as it has") {
  bench b;
  auto out = b.call("sendMediaGroup", {{"chat_id", std::to_string(club)},
                                       {"media", "[{},{},{},{},{},{}]"}});
  CHECK(out.answer.status == 200);
  CHECK(out.cost == 6);
  for (int i = 0; i < 14; ++i)
    CHECK(b.say(club, "x").answer.status == 200);
  CHECK(b.say(club, "x").limit == limit_scope::group);
}

TEST_CASE("G8: bot: a call before retry_after is over is told apart") {
  bot_options how = without_limits();
  how.answer_delay = 40ms;
  bench b{how};
  b.telegram.troubles().script(
      {"sendmessage", alice, 1, 1, {fault_kind::flood, 2, {}}});
  auto first = b.say(alice, "x");
  CHECK(first.fault == fault_kind::flood);
  CHECK(first.answer.status == 429);
  b.advance(2s + 39ms);
  auto early = b.say(alice, "x");
  CHECK(early.limit == limit_scope::frozen);
  CHECK(early.answer.status == 429);
  b.advance(1s + 40ms);
  CHECK(b.say(alice, "x").answer.status == 200);
}

TEST_CASE("G8: bot: calls that are no sends have a retry_after, too") {
  bot_options how = without_limits();
  how.answer_delay = 40ms;
  bench b{how};
  b.telegram.troubles().script(
      {"sendchataction", alice, 1, 1, {fault_kind::flood, 2, {}}});
  auto act = [&](std::int64_t chat) {
    return b.call("sendChatAction", {{"chat_id", std::to_string(chat)}});
  };
  CHECK(act(alice).answer.status == 429);
  b.advance(2s + 39ms);
  CHECK(act(club).answer.status == 200);
  CHECK(b.say(alice, "x").answer.status == 200);
  auto early = act(alice);
  CHECK(early.answer.status == 429);
  CHECK(early.limit == limit_scope::frozen);
  b.advance(1s + 40ms);
  CHECK(act(alice).answer.status == 200);
}

TEST_CASE("G8: bot: a freeze of the whole bot is told with the call") {
  bench b{without_limits()};
  for (std::int64_t chat = 1; chat <= 6; ++chat) {
    b.telegram.chats().at(chat);
    b.telegram.troubles().script(
        {"sendmessage", chat, 1, 1, {fault_kind::flood, 2, {}}});
    auto out = b.say(chat, "x");
    REQUIRE(out.answer.status == 429);
    REQUIRE(out.bot_freeze.has_value() == (chat == 5));
    if (out.bot_freeze) {
      CHECK(out.bot_freeze->from == b.now.mono + 250ms);
      CHECK(out.bot_freeze->until == b.now.mono + 2s);
    }
  }
  b.advance(250ms);
  CHECK(b.say(alice, "x").limit == limit_scope::bot);
}

TEST_CASE("faults: scripted ones strike the call they are meant for") {
  bench b{without_limits()};
  auto& t = b.telegram.troubles();
  t.script({"sendmessage", std::nullopt, 2, 1, {fault_kind::drop, 0, {}}});
  t.script({"", club, 1, 2, {fault_kind::gateway, 0, {}}});
  t.script({"getme", std::nullopt, 1, 1, {fault_kind::delay, 0, 700ms}});
  CHECK(b.say(alice, "1").fault == fault_kind::none);
  auto dropped = b.say(alice, "2");
  CHECK(dropped.fault == fault_kind::drop);
  CHECK(dropped.cut);
  CHECK(dropped.recorded);
  CHECK(b.say(alice, "3").fault == fault_kind::none);
  for (int i = 0; i < 2; ++i) {
    auto html = b.say(club, "x");
    CHECK(html.answer.status == 502);
    CHECK(html.answer.type == "text/html");
    CHECK_FALSE(html.recorded);
  }
  CHECK(b.say(club, "x").answer.status == 200);
  CHECK(b.call("getMe").delay == 700ms);
  CHECK(t.scripted() == 0);
}

TEST_CASE("faults: reset and 403 leave no message behind") {
  bench b{without_limits()};
  auto& t = b.telegram.troubles();
  t.script({"", std::nullopt, 1, 1, {fault_kind::reset, 0, {}}});
  t.script({"", std::nullopt, 1, 1, {fault_kind::forbidden, 0, {}}});
  auto reset = b.say(alice, "x");
  CHECK(reset.cut);
  CHECK_FALSE(reset.recorded);
  CHECK(b.say(alice, "x").answer.status == 403);
  CHECK(b.say(alice, "x").message_id == 1);
}

TEST_CASE("faults: random ones come at their rate, and never to reads") {
  bot_options how = without_limits();
  how.rates = {0.1, 0.2, 0.3};
  bench b{how};
  std::map<fault_kind, int> seen;
  for (int i = 0; i < 10'000; ++i) {
    auto out = b.say(alice, "x");
    ++seen[out.fault];
    b.advance(4s);  // every announced retry_after is over
    REQUIRE(b.call("getMe").answer.status == 200);
  }
  CHECK(std::abs(seen[fault_kind::gateway] - 2000) < 300);
  CHECK(std::abs(seen[fault_kind::flood] - 2400) < 300);
  CHECK(std::abs(seen[fault_kind::drop] - 560) < 150);
}

TEST_CASE("params: query and body merge, the first occurrence wins") {
  telegram::members reader;
  http::request r;
  r.target = "/bot1:x/sendMessage?chat_id=5&text=a%20b+c%C3%A4&text=late";
  r.headers.add("Content-Type", "application/json; charset=utf-8");
  r.body = R"({"text":"body","reply_markup":{"a":[1]},"silent":true,"n":null})";
  auto p = read_params(r, reader);
  CHECK(p.integer("chat_id") == 5);
  CHECK(p.get("text") == "a b c\xc3\xa4");
  CHECK(p.get("reply_markup") == R"({"a":[1]})");
  CHECK(p.flag("silent"));
  CHECK(p.get("n") == "null");
  CHECK_FALSE(p.has("absent"));
}

TEST_CASE("params: forms and multipart carry the same") {
  telegram::members reader;
  http::request form;
  form.headers.add("Content-Type", "application/x-www-form-urlencoded");
  form.body = "chat_id=-1001&text=x%3Dy&&=ignored&flag";
  auto p = read_params(form, reader);
  CHECK(p.integer("chat_id") == -1001);
  CHECK(p.get("text") == "x=y");
  CHECK(p.has("flag"));

  http::request parts;
  parts.headers.add("Content-Type", "multipart/form-data; boundary=\"b-1\"");
  parts.body =
      "--b-1\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n"
      "--b-1\r\nContent-Disposition: form-data; name=\"f\"; "
      "filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n"
      "--b-1\r\ncontent-disposition: form-data; name=text\r\n\r\na\r\nb\r\n"
      "--b-1--\r\n";
  auto q = read_params(parts, reader);
  CHECK(q.integer("chat_id") == 7);
  CHECK(q.get("text") == "a\r\nb");
  CHECK_FALSE(q.has("f"));
}

TEST_CASE("params: what does not parse is used up to the fault") {
  telegram::members reader;
  http::request r;
  r.headers.add("Content-Type", "application/json");
  r.body = R"({"chat_id":5,"text":})";
  CHECK(read_params(r, reader).integer("chat_id") == 5);
  for (auto body : {"", "{", "[]", "\xff", "nonsense"}) {
    r.body = body;
    CHECK(read_params(r, reader).empty());
  }
}

TEST_CASE("params: integers are lenient and saturate") {
  CHECK(lenient_integer("12abc", 0) == 12);
  CHECK(lenient_integer(" +7", 0) == 7);
  CHECK(lenient_integer("@name", 3) == 3);
  CHECK(lenient_integer("", 3) == 3);
  CHECK(lenient_integer("99999999999999999999", 0) == INT64_MAX);
  CHECK(lenient_integer("-99999999999999999999", 0) == INT64_MIN);
}
