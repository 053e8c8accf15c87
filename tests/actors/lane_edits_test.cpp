// Labels, edits, bodies that are read back, and what becomes of a call.
#include "actors/turn_commit.hpp"
#include "tests/actors/lane_fixture.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::actors::test;

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

TEST_CASE("edits of a label's earlier message are not collapsed into later") {
  fixture f{fixture::limited()};
  auto named = [&] {
    auto c = f.call();
    c.label = "cart";
    return c;
  };
  auto edit = [&] {
    auto e = f.call("editMessageText", R"({"chat_id":42,"text":"y"})");
    e.target = "cart";
    return e;
  };
  f.push(named(), at(0ms));
  f.push(edit(), at(0ms));
  f.push(named(), at(0ms));
  f.push(edit(), at(0ms));
  CHECK(f.settled().empty());
  f.push(edit(), at(0ms));
  CHECK(f.settled() == ends{{4, call_outcome::collapsed}});
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
  ownership owned{store::lease{}, {}, mono_time::max()};
  auto turn = commit_of_call({chat, 1, &back}, owned, 0);
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
