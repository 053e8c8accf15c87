#include "tests/actors/lane_fixture.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::actors::test;

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
  f.too_many({1}, 3000ms, at(10ms));
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

TEST_CASE("G5: a call that was marked leaves, whatever stops meanwhile") {
  fixture f;
  auto c = f.call();
  c.policy = store::call_policy::at_most_once;
  f.push(c, at(0ms));
  f.push(f.call(), at(0ms));
  CHECK(f.settled() == ends{{1, call_outcome::attempting}});
  f.machine.stop();
  f.machine.marked({1}, at(1ms), f.todo);
  CHECK(f.sent() == ids{1});  // or the next owner would call it unknown
  f.answer({1}, verdict::sent, at(2ms));
  CHECK(f.settled() == ends{{1, call_outcome::sent}});
  CHECK(f.sent().empty());
}

TEST_CASE("a forgotten chat's waiting calls don't leave, others' do") {
  fixture f;
  for (int i = 0; i < 4; ++i) {
    auto c = f.call();
    if (i % 2 == 1)
      c.from = chat_key::chat(7);
    f.push(c, at(0ms));
  }
  CHECK(f.sent() == ids{1});  // under way
  f.machine.drop_from(chat, at(1ms), f.todo);
  CHECK(f.take<lane::forget>().size() == 1);
  CHECK(f.machine.waiting() == 3);
  f.answer({1}, verdict::sent, at(2ms));
  CHECK(f.sent() == ids{2});
  CHECK(f.machine.waiting() == 2);

  fixture idle{fixture::limited()};
  idle.push(idle.call(), at(0ms));
  idle.push(idle.call(), at(0ms));
  idle.answer({1}, verdict::sent, at(1ms));
  CHECK(idle.sent() == ids{1});
  idle.machine.drop_from(chat, at(2ms), idle.todo);
  CHECK(idle.machine.waiting() == 0);
  CHECK_FALSE(idle.machine.wake());
}

TEST_CASE("a forgotten chat's labels are known no more") {
  fixture f;
  auto c = f.call();
  c.label = "cart";
  f.push(c, at(0ms));
  f.answer({1}, verdict::sent, at(1ms));
  f.machine.drop_from(chat, at(2ms), f.todo);
  auto e = f.call("editMessageText");
  e.target = "cart";
  f.push(e, at(3ms));
  CHECK(f.take<lane::resolve>().size() == 1);  // it is looked up again
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

TEST_CASE("one call's bad source does not cost the chat its queue") {
  fixture f;
  f.push(f.call("copyMessage",
                R"({"chat_id":42,"from_chat_id":7,"message_id":1})"),
         at(0ms));
  f.push(f.call(), at(0ms));
  telegram::answer a;
  a.what = verdict::chat_gone;
  a.code = 400;
  a.description = "Bad Request: chat not found";
  f.answer({1}, a, at(1ms));
  auto all = f.take<lane::settle>();
  REQUIRE(all.size() == 1);
  CHECK(all[0].what.outcome == call_outcome::failed);
  CHECK_FALSE(all[0].what.audience);
  CHECK(all[0].what.dead == "400 Bad Request: chat not found");
  CHECK(f.sent() == ids{1, 2});
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
  f.too_many({1}, 5s, at(1ms));
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
  f.machine.permit(7, free, {free, at(0ms).wall}, f.todo);
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
    f.machine.permit(8, free + 1s, {free + 1s, at(0ms).wall}, f.todo);
    CHECK(f.sent() == ids{1});
  }
  SECTION("the store does not answer: the permit goes back") {
    f.machine.failed({free + 1ms, at(0ms).wall}, f.todo);
    CHECK(f.take<lane::give_back>().size() == 1);
    CHECK(f.sent().empty());
  }
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
  f.machine.permit(5, at(2ms).mono, at(2ms), f.todo);
  CHECK(f.sent() == ids{1});
  f.answer({1}, verdict::sent, at(9ms));
  auto back = f.take<lane::give_back>();
  REQUIRE(back.size() == 1);
  CHECK(back[0].permit == 5);
  CHECK(back[0].arrived);
  // A permit that comes when nothing wants it goes straight back.
  f.machine.permit(6, at(10ms).mono, at(10ms), f.todo);
  back = f.take<lane::give_back>();
  REQUIRE(back.size() == 1);
  CHECK_FALSE(back[0].arrived);
}

TEST_CASE("G7: a call may begin while its budget takes it to be arriving") {
  auto begin_by = [](fixture& f) {
    auto all = f.take<lane::send>();
    REQUIRE(all.size() == 1);
    return all[0].begin_by;
  };
  SECTION("the chat's window counts from now") {
    fixture f{fixture::limited()};
    f.push(f.call(), at(5ms));
    CHECK(begin_by(f) == at(755ms).mono);
  }
  SECTION("the bot's counts from its permit") {
    auto o = fixture::limited();
    o.global = true;
    fixture f{o};
    f.push(f.call(), at(0ms));
    f.machine.permit(1, at(3ms).mono, at(90ms), f.todo);
    CHECK(begin_by(f) == at(753ms).mono);
  }
  SECTION("a margin of nothing leaves time for a busy machine all the same") {
    auto o = fixture::limited();
    o.margin = 0ms;
    fixture f{o};
    f.push(f.call(), at(5ms));
    CHECK(begin_by(f) == at(255ms).mono);
  }
  SECTION("without limits, and for what counts in none, any time will do") {
    fixture f;
    f.push(f.call(), at(0ms));
    CHECK(begin_by(f) == mono_time::max());
    fixture g{fixture::limited()};
    g.push(g.call("answerCallbackQuery", R"({"callback_query_id":"9"})"),
           at(0ms));
    CHECK(begin_by(g) == mono_time::max());
  }
}

TEST_CASE("G7: a permit that was long under way is asked for anew") {
  auto o = fixture::limited();
  o.global = true;
  fixture f{o};
  f.push(f.call(), at(0ms));
  CHECK(f.take<lane::ask>().size() == 1);
  SECTION("not yet") {
    f.machine.permit(1, at(0ms).mono, at(700ms), f.todo);
    CHECK(f.sent() == ids{1});
    return;
  }
  f.machine.permit(1, at(0ms).mono, at(701ms), f.todo);
  CHECK(f.sent().empty());
  CHECK(f.take<lane::give_back>().size() == 1);
  CHECK(f.take<lane::ask>().size() == 1);
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
