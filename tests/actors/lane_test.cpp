#include "actors/lane.hpp"

#include "actors/turn_commit.hpp"
#include "core/json.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;
using store::call_outcome;
using telegram::verdict;

namespace {

const auto chat = chat_key::chat(42);

moment at(milliseconds t) {
  return {mono_time{1h} + t, from_ms(1'700'000'000'000) + t};
}

/// A lane with its surroundings: collects what it wants done.
struct fixture {
  lane machine;
  lane::actions todo;
  std::uint64_t next_id = 1;

  explicit fixture(lane::options o = plain()) : machine{o} {}

  static lane::options plain() {
    lane::options o;
    o.to = chat;
    o.limit = 0;
    o.global = false;
    return o;
  }
  static lane::options limited() {
    auto o = plain();
    o.limit = 1;
    return o;
  }

  store::call call(std::string method = "sendMessage",
                   std::string body = R"({"chat_id":42,"text":"x"})") {
    store::call c;
    c.id = {next_id++};
    c.from = chat;
    c.to = chat;
    c.method = std::move(method);
    c.body = store::make_payload(std::move(body));
    return c;
  }
  call_id push(store::call c, moment now) {
    auto id = c.id;
    machine.push(std::move(c), now, todo);
    return id;
  }
  void answer(call_id id, telegram::answer a, moment now) {
    attempt_end end;
    end.what = std::move(a);
    machine.answered(id, chat, std::move(end), now, todo);
  }
  void answer(call_id id, verdict v, moment now) {
    telegram::answer a;
    a.what = v;
    a.code = v == verdict::sent ? 200 : 400;
    a.message_id = v == verdict::sent ? 900 + std::int64_t(id.value) : 0;
    answer(id, a, now);
  }
  void fail(call_id id, bool maybe_sent, moment now) {
    attempt_end end;
    end.what = http::failure{{errc::timed_out, "no answer"}, maybe_sent};
    machine.answered(id, chat, std::move(end), now, todo);
  }
  /// Takes the actions of one type out.
  template <class T>
  std::vector<T> take() {
    std::vector<T> out;
    std::erase_if(todo, [&](auto& a) {
      auto x = std::get_if<T>(&a);
      if (x)
        out.push_back(std::move(*x));
      return x != nullptr;
    });
    return out;
  }
  std::vector<std::uint64_t> sent() {
    std::vector<std::uint64_t> out;
    for (auto& s : take<lane::send>())
      out.push_back(s.id.value);
    return out;
  }
  std::vector<std::pair<std::uint64_t, call_outcome>> settled() {
    std::vector<std::pair<std::uint64_t, call_outcome>> out;
    for (auto& s : take<lane::settle>())
      out.push_back({s.what.id.value, s.what.outcome});
    return out;
  }
};

using ids = std::vector<std::uint64_t>;
using ends = std::vector<std::pair<std::uint64_t, call_outcome>>;

}  // namespace

TEST_CASE("G5: calls of one chat leave one at a time, in order") {
  fixture f;
  for (int i = 0; i < 3; ++i)
    f.push(f.call(), at(0ms));
  CHECK(f.sent() == ids{1});
  f.machine.tick(at(1ms), f.todo);
  CHECK(f.sent().empty());
  f.answer({1}, verdict::sent, at(5ms));
  CHECK(f.sent() == ids{2});
  f.answer({2}, verdict::sent, at(9ms));
  f.answer({3}, verdict::sent, at(12ms));
  CHECK(f.settled() == ends{{1, call_outcome::sent},
                            {2, call_outcome::sent},
                            {3, call_outcome::sent}});
  CHECK(f.machine.waiting() == 0);
}

TEST_CASE("G7: the next call waits for the chat's window") {
  fixture f{fixture::limited()};
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  f.answer({1}, verdict::sent, at(10ms));
  CHECK(f.sent() == ids{1});
  auto wake = f.machine.wake();
  REQUIRE(wake);
  CHECK(*wake >= at(1010ms).mono);
  f.machine.tick(at(1009ms), f.todo);
  CHECK(f.sent().empty());
  f.machine.tick({*wake, at(1020ms).wall}, f.todo);
  CHECK(f.sent() == ids{2});
}

TEST_CASE("G8: nothing leaves before retry_after is over, then in order") {
  fixture f;
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  CHECK(f.sent() == ids{1});
  telegram::answer a;
  a.what = verdict::retry_after;
  a.code = 429;
  a.retry_after = 3000ms;
  f.answer({1}, a, at(10ms));
  CHECK(f.take<lane::flood>().size() == 1);
  for (auto t = 20ms; t < 3010ms; t += 100ms)
    f.machine.tick(at(t), f.todo);
  CHECK(f.sent().empty());
  REQUIRE(f.machine.wake());
  CHECK(*f.machine.wake() >= at(3010ms).mono);
  f.machine.tick(at(3100ms), f.todo);
  CHECK(f.sent() == ids{1});
  f.answer({1}, verdict::sent, at(3200ms));
  f.machine.tick(at(10s), f.todo);
  CHECK(f.sent() == ids{2});
}

TEST_CASE(
    "G5: a call without an answer is sent again and again, with backoff") {
  fixture f;
  f.push(f.call(), at(0ms));
  auto now = at(0ms);
  for (int i = 0; i < 6; ++i) {
    CHECK(f.sent() == ids{1});
    f.fail({1}, true, now);
    auto wake = f.machine.wake();
    REQUIRE(wake);
    CHECK(*wake >= now.mono + 500ms * (1 << i));
    now.mono = *wake;
    f.machine.tick(now, f.todo);
  }
  CHECK(f.sent() == ids{1});
  CHECK(f.settled().empty());
}

TEST_CASE("G5: an at_most_once call is marked, sent once, and never repeated") {
  fixture f;
  auto c = f.call();
  c.policy = store::call_policy::at_most_once;
  f.push(c, at(0ms));
  CHECK(f.sent().empty());
  CHECK(f.settled() == ends{{1, call_outcome::attempting}});
  f.machine.marked({1}, at(1ms), f.todo);
  CHECK(f.sent() == ids{1});

  SECTION("no answer: unknown") {
    f.fail({1}, true, at(2ms));
    CHECK(f.settled() == ends{{1, call_outcome::unknown}});
  }
  SECTION("5xx: unknown") {
    f.answer({1}, verdict::try_again, at(2ms));
    CHECK(f.settled() == ends{{1, call_outcome::unknown}});
  }
  SECTION("certainly not sent: tried again") {
    f.fail({1}, false, at(2ms));
    CHECK(f.settled().empty());
    f.machine.tick(at(5s), f.todo);
    CHECK(f.sent() == ids{1});
  }
}

TEST_CASE("an at_most_once call found marked after a crash is not sent") {
  fixture f;
  auto c = f.call();
  c.policy = store::call_policy::at_most_once;
  c.attempted = true;
  f.push(c, at(0ms));
  CHECK(f.sent().empty());
  CHECK(f.settled() == ends{{1, call_outcome::unknown}});
}

TEST_CASE("a blocked chat's queue is given up, and its audience told") {
  fixture f;
  for (int i = 0; i < 3; ++i)
    f.push(f.call(), at(0ms));
  telegram::answer a;
  a.what = verdict::chat_gone;
  a.code = 403;
  a.description = "Forbidden: bot was blocked by the user";
  f.answer({1}, a, at(1ms));
  auto all = f.take<lane::settle>();
  REQUIRE(all.size() == 3);
  for (auto& s : all)
    CHECK(s.what.outcome == call_outcome::failed);
  REQUIRE(all[0].what.audience);
  CHECK(all[0].what.audience->status == store::audience_status::blocked);
  CHECK(all[0].what.spent == 1);
  CHECK(all[1].what.spent == 0);
  CHECK(f.sent() == ids{1});
}

TEST_CASE("a refused call becomes a dead letter, without holding up the next") {
  fixture f;
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  telegram::answer a;
  a.what = verdict::refused;
  a.code = 400;
  a.description = "Bad Request: message text is empty";
  f.answer({1}, a, at(1ms));
  auto all = f.take<lane::settle>();
  REQUIRE(all.size() == 1);
  REQUIRE(all[0].what.dead);
  CHECK(all[0].what.dead->find("message text is empty") != std::string::npos);
  auto body = parse_json(*all[0].what.dead_body);
  REQUIRE(body.has_value());
  CHECK(body->at("method") == "sendMessage");
  CHECK(body->at("body").at("text") == "x");
  CHECK(f.sent() == ids{1, 2});
}

TEST_CASE("a labelled call's outcome comes back as an event") {
  fixture f;
  auto c = f.call();
  c.label = "cart";
  f.push(c, at(0ms));
  attempt_end end;
  telegram::answer a;
  SECTION("sent, with its result") {
    a.what = verdict::sent;
    a.message_id = 7;
    end.result = R"({"message_id":7})";
    end.what = a;
    f.machine.answered({1}, chat, end, at(1ms), f.todo);
    auto all = f.take<lane::settle>();
    REQUIRE(all.size() == 1);
    CHECK(all[0].what.message_id == 7);
    auto event = parse_json(*all[0].what.event);
    REQUIRE(event.has_value());
    CHECK(event->at("label") == "cart");
    CHECK(event->at("ok") == true);
    CHECK(event->at("result").at("message_id") == 7);
  }
  SECTION("refused, with code and text, and no dead letter") {
    a.what = verdict::refused;
    a.code = 400;
    a.description = "Bad Request: \"quoted\"";
    end.what = a;
    f.machine.answered({1}, chat, end, at(1ms), f.todo);
    auto all = f.take<lane::settle>();
    REQUIRE(all.size() == 1);
    CHECK_FALSE(all[0].what.dead);
    auto event = parse_json(*all[0].what.event);
    REQUIRE(event.has_value());
    CHECK(event->at("ok") == false);
    CHECK(event->at("unknown") == false);
    CHECK(event->at("code") == 400);
    CHECK(event->at("description") == "Bad Request: \"quoted\"");
  }
}

TEST_CASE("an edit of a label gets the message id of the send before it") {
  fixture f;
  auto c = f.call();
  c.label = "cart";
  f.push(c, at(0ms));
  auto e = f.call("editMessageText", R"({"chat_id":42,"text":"y"})");
  e.target = "cart";
  f.push(e, at(0ms));
  f.answer({1}, verdict::sent, at(1ms));
  auto sends = f.take<lane::send>();
  REQUIRE(sends.size() == 2);
  CHECK(parse_json(*sends[1].body)->at("message_id") == 901);
}

TEST_CASE("G8: a frozen bot begins nothing, whatever needs no permit") {
  auto how = fixture::plain();
  how.global = true;
  how.count_replies = false;
  fixture f{how};
  f.machine.freeze(at(10s).mono);
  auto reply = f.call();
  reply.reply = true;
  f.push(reply, at(0ms));
  f.push(f.call("answerCallbackQuery", R"({"callback_query_id":"1"})"),
         at(0ms));
  f.machine.tick(at(9'999ms), f.todo);
  CHECK(f.sent().empty());
  CHECK(f.machine.wake() == at(10s).mono);
  f.machine.tick(at(10s), f.todo);
  CHECK(f.sent().size() == 2);
  f.push(f.call("answerCallbackQuery", R"({"callback_query_id":"2"})"),
         at(10s));
  CHECK(f.sent() == ids{3});
}

TEST_CASE("G8: a 429 of a call that skips the queue holds the queue, too") {
  fixture f;
  f.push(f.call("answerCallbackQuery", R"({"callback_query_id":"1"})"),
         at(0ms));
  telegram::answer a;
  a.what = verdict::retry_after;
  a.code = 429;
  a.retry_after = 5s;
  f.answer({1}, a, at(1ms));
  CHECK(f.take<lane::flood>().size() == 1);
  f.push(f.call(), at(2ms));
  CHECK(f.sent() == ids{1});
  CHECK(*f.machine.wake() > at(5s).mono);
  f.machine.tick(at(6s), f.todo);
  CHECK(f.sent().size() == 2);
}

TEST_CASE("G5: a call that is sent at most once is marked when it may leave") {
  auto how = fixture::limited();
  how.global = true;
  fixture f{how};
  auto once = f.call();
  once.policy = store::call_policy::at_most_once;
  f.machine.spend(at(0ms).mono, 1);
  f.push(once, at(1ms));
  CHECK(f.take<lane::settle>().empty());  // the chat's second is spent
  CHECK(f.take<lane::ask>().empty());
  const auto free = *f.machine.wake();
  f.machine.tick({free, at(0ms).wall}, f.todo);
  REQUIRE(f.take<lane::ask>().size() == 1);
  CHECK(f.take<lane::settle>().empty());  // and now it waits for the bot's
  f.machine.permit(7, {free, at(0ms).wall}, f.todo);
  auto marks = f.take<lane::settle>();
  REQUIRE(marks.size() == 1);
  CHECK(marks[0].what.outcome == call_outcome::attempting);
  CHECK(f.sent().empty());
  SECTION("marked at once: it leaves on its permit") {
    f.machine.marked(once.id, {free + 10ms, at(0ms).wall}, f.todo);
    CHECK(f.sent() == ids{1});
    CHECK(f.take<lane::ask>().empty());
  }
  SECTION("marked late: the permit is stale, and another is asked for") {
    f.machine.marked(once.id, {free + 1s, at(0ms).wall}, f.todo);
    CHECK(f.sent().empty());
    CHECK(f.take<lane::give_back>().size() == 1);
    REQUIRE(f.take<lane::ask>().size() == 1);
    f.machine.permit(8, {free + 1s, at(0ms).wall}, f.todo);
    CHECK(f.sent() == ids{1});
  }
  SECTION("the store does not answer: the permit goes back") {
    f.machine.failed({free + 1ms, at(0ms).wall}, f.todo);
    CHECK(f.take<lane::give_back>().size() == 1);
    CHECK(f.sent().empty());
  }
}

TEST_CASE("the same label of two chats is two labels") {
  fixture f;
  f.push(f.call(), at(0ms));
  auto edit = [&](chat_key from) {
    auto e = f.call("editMessageText", R"({"chat_id":42,"text":"y"})");
    e.from = from;
    e.target = "status";
    return e;
  };
  f.push(edit(chat), at(0ms));
  f.push(edit(chat_key::chat(7)), at(0ms));
  CHECK(f.settled().empty());  // neither replaces the other
  f.push(edit(chat), at(0ms));
  CHECK(f.settled() == ends{{2, call_outcome::collapsed}});
}

TEST_CASE("a dead call keeps its policy") {
  fixture f;
  auto once = f.call();
  once.policy = store::call_policy::at_most_once;
  auto read = [](const store::call& c) {
    return parse_json(dead_call(c))->as_object().contains("at_most_once");
  };
  CHECK(read(once));
  CHECK_FALSE(read(f.call()));
  store::entry back;
  back.type = store::entry_kind::call;
  back.key = chat;
  back.body = store::make_payload(dead_call(once));
  ownership owned{store::lease{}};
  auto turn = commit_of_call({chat, 1, &back, nullptr}, owned);
  REQUIRE(turn.has_value());
  REQUIRE(turn->calls.size() == 1);
  CHECK(turn->calls[0].policy == store::call_policy::at_most_once);
}

TEST_CASE("an edit of a label that is not known here is looked up") {
  fixture f;
  auto e = f.call("editMessageText", R"({"chat_id":42,"text":"y"})");
  e.target = "cart";
  f.push(e, at(0ms));
  auto asked = f.take<lane::resolve>();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].label == "cart");
  SECTION("found") {
    f.machine.resolved("cart", 77, at(1ms), f.todo);
    auto sends = f.take<lane::send>();
    REQUIRE(sends.size() == 1);
    CHECK(parse_json(*sends[0].body)->at("message_id") == 77);
  }
  SECTION("nowhere: failed, without a dead letter") {
    f.machine.resolved("cart", 0, at(1ms), f.todo);
    auto all = f.take<lane::settle>();
    REQUIRE(all.size() == 1);
    CHECK(all[0].what.outcome == call_outcome::failed);
    CHECK_FALSE(all[0].what.dead);
  }
  SECTION("the store does not answer: asked again") {
    f.machine.failed(at(1ms), f.todo);
    f.machine.tick(at(10s), f.todo);
    CHECK(f.take<lane::resolve>().size() == 1);
  }
}

TEST_CASE("waiting edits of one message collapse to the latest") {
  fixture f;
  f.push(f.call(), at(0ms));
  auto edit = [&](std::string text, int message) {
    return f.call("editMessageText", R"({"chat_id":42,"message_id":)" +
                                         std::to_string(message) +
                                         R"(,"text":")" + text + "\"}");
  };
  f.push(edit("a", 5), at(0ms));
  f.push(edit("other", 6), at(0ms));
  f.push(edit("ab", 5), at(0ms));
  f.push(edit("abc", 5), at(0ms));
  CHECK(f.settled() ==
        ends{{2, call_outcome::collapsed}, {4, call_outcome::collapsed}});
  f.answer({1}, verdict::sent, at(1ms));
  f.answer({3}, verdict::sent, at(2ms));
  auto sends = f.take<lane::send>();
  REQUIRE(sends.size() == 3);
  CHECK(parse_json(*sends[2].body)->at("text") == "abc");
}

TEST_CASE("answers to queries pass the waiting calls, and die with the query") {
  fixture f{fixture::limited()};
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  f.push(f.call("answerCallbackQuery", R"({"callback_query_id":"9"})"),
         at(1ms));
  CHECK(f.sent() == ids{1, 3});
  SECTION("answered") {
    f.answer({3}, verdict::sent, at(5ms));
    CHECK(f.settled() == ends{{3, call_outcome::sent}});
  }
  SECTION("too late is no error") {
    f.answer({3}, verdict::too_late, at(5ms));
    auto all = f.take<lane::settle>();
    REQUIRE(all.size() == 1);
    CHECK_FALSE(all[0].what.dead);
  }
  SECTION("given up when the query is dead anyway") {
    auto now = at(5ms);
    for (int i = 0; i < 20 && f.machine.waiting() == 3; ++i) {
      f.fail({3}, true, now);
      now.mono += 40s;
      f.machine.tick(now, f.todo);
    }
    auto all = f.settled();
    REQUIRE_FALSE(all.empty());
    CHECK(all.back().first == 3);
    CHECK(all.back().second == call_outcome::unknown);
  }
}

TEST_CASE("the global budget is asked once per attempt and given back") {
  auto o = fixture::plain();
  o.global = true;
  fixture f{o};
  f.push(f.call(), at(0ms));
  CHECK(f.take<lane::ask>().size() == 1);
  CHECK(f.sent().empty());
  f.machine.tick(at(1ms), f.todo);
  CHECK(f.take<lane::ask>().empty());
  f.machine.permit(5, at(2ms), f.todo);
  CHECK(f.sent() == ids{1});
  f.answer({1}, verdict::sent, at(9ms));
  auto back = f.take<lane::give_back>();
  REQUIRE(back.size() == 1);
  CHECK(back[0].permit == 5);
  CHECK(back[0].arrived);
  // A permit that comes when nothing wants it goes straight back.
  f.machine.permit(6, at(10ms), f.todo);
  back = f.take<lane::give_back>();
  REQUIRE(back.size() == 1);
  CHECK_FALSE(back[0].arrived);
}

TEST_CASE("replies are free of the global budget if configured so") {
  auto o = fixture::plain();
  o.global = true;
  o.count_replies = false;
  fixture f{o};
  auto c = f.call();
  c.reply = true;
  f.push(c, at(0ms));
  CHECK(f.sent() == ids{1});
  f.push(f.call(), at(0ms));
  f.answer({1}, verdict::sent, at(1ms));
  CHECK(f.take<lane::ask>().size() == 1);
}

TEST_CASE("a migrated group's calls go to its new id") {
  fixture f;
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  telegram::answer a;
  a.what = verdict::migrated;
  a.code = 400;
  a.migrate_to = -1001;
  f.answer({1}, a, at(1ms));
  f.machine.tick(at(5s), f.todo);
  auto sends = f.take<lane::send>();
  REQUIRE(sends.size() == 2);
  CHECK(parse_json(*sends[1].body)->at("chat_id") == -1001);
  f.answer({1}, verdict::sent, at(6s));
  sends = f.take<lane::send>();
  REQUIRE(sends.size() == 1);
  CHECK(parse_json(*sends[0].body)->at("chat_id") == -1001);
}

TEST_CASE("G11: a long queue keeps few bodies; the rest is fetched in time") {
  fixture f;
  std::vector<store::call> all;
  for (int i = 0; i < 60; ++i) {
    all.push_back(f.call("sendMessage", R"({"chat_id":42,"text":")" +
                                            std::to_string(i) + "\"}"));
    f.push(all.back(), at(0ms));
  }
  ids order;
  auto now = at(1ms);
  for (int i = 0; i < 200 && f.machine.waiting() > 0; ++i) {
    for (auto& want : f.take<lane::fetch>()) {
      std::vector<store::call> found;
      for (auto& [from, which] : want.which) {
        CHECK(which.size() <= lane::loaded);
        for (auto id : which)
          found.push_back(all[id.value - 1]);
      }
      f.machine.fetched(found, now, f.todo);
    }
    for (auto& s : f.take<lane::send>()) {
      order.push_back(s.id.value);
      REQUIRE(s.body);
      CHECK(*s.body == *all[s.id.value - 1].body);
      f.answer(s.id, verdict::sent, now);
    }
  }
  REQUIRE(order.size() == 60);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("G5: calls that come during a fetch are sent, in order, too") {
  fixture f;
  std::vector<store::call> all;
  auto push = [&](int n, milliseconds when) {
    for (int i = 0; i < n; ++i) {
      all.push_back(f.call());
      f.push(all.back(), at(when));
    }
  };
  push(20, 0ms);
  ids order;
  auto now = at(1ms);
  bool more = true;
  for (int i = 0; i < 300 && f.machine.waiting() > 0; ++i) {
    for (auto& want : f.take<lane::fetch>()) {
      // Of these, the last ones find the memory full: without a body, and
      // nobody has asked the store for them.
      if (std::exchange(more, false))
        push(30, 1ms);
      std::vector<store::call> found;
      for (auto& [from, which] : want.which)
        for (auto id : which)
          found.push_back(all[id.value - 1]);
      f.machine.fetched(found, now, f.todo);
    }
    for (auto& s : f.take<lane::send>()) {
      order.push_back(s.id.value);
      f.answer(s.id, verdict::sent, now);
    }
  }
  REQUIRE(order.size() == 50);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(f.take<lane::forget>().empty());
}

TEST_CASE("a call that was settled meanwhile is forgotten, and counted so") {
  fixture f;
  std::vector<store::call> all;
  for (int i = 0; i < 20; ++i) {
    all.push_back(f.call());
    f.push(all.back(), at(0ms));
  }
  unsigned asked = 0;
  for (int i = 0; i < 100 && f.machine.waiting() > 0; ++i) {
    for (auto& want : f.take<lane::fetch>()) {
      for (auto& [from, which] : want.which)
        asked += unsigned(which.size());
      f.machine.fetched({}, at(1ms), f.todo);
    }
    for (auto& s : f.take<lane::send>())
      f.answer(s.id, verdict::sent, at(1ms));
  }
  CHECK(asked == 4);
  CHECK(f.take<lane::forget>().size() == 4);
}

TEST_CASE("a stopped lane begins nothing, and lets what is under way end") {
  fixture f;
  f.push(f.call(), at(0ms));
  f.push(f.call(), at(0ms));
  f.machine.stop();
  f.answer({1}, verdict::sent, at(1ms));
  CHECK(f.sent() == ids{1});
  CHECK(f.settled() == ends{{1, call_outcome::sent}});
  CHECK_FALSE(f.machine.wake());
}

TEST_CASE("a lane is worth keeping as long as it remembers something") {
  fixture f{fixture::limited()};
  f.push(f.call(), at(0ms));
  CHECK(f.machine.clear_at() == mono_time::max());
  f.answer({1}, verdict::sent, at(10ms));
  CHECK(f.machine.clear_at() > at(1000ms).mono);
  CHECK(f.machine.clear_at() < at(1100ms).mono);
}
