#include <set>

#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

constexpr auto committed = turn_receipt::status::committed;
constexpr auto stale = turn_receipt::status::stale;

const chat_key key = chat_key::chat(42);

turn_receipt commit_one(sync_store& s, lease held, turn t) {
  auto r = s.commit(held, {std::move(t)}).value();
  REQUIRE(r.size() == 1);
  return r[0];
}

timer timer_of(std::string name, wall_time due, std::string body = "") {
  return {key, std::move(name), due, std::move(body)};
}

}  // namespace

TEST_CASE("a turn leaves everything it says, in one step (G4)", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  const auto other = chat_key::chat(-77);
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = R"({"n":1})";
  t.mode = "shop";
  t.memo = "m";
  t.calls = {call_of(key, make_call_id(held.term, 1), "cart"),
             call_of(key, make_call_id(held.term, 2))};
  t.calls[0].event = (std::uint64_t{1} << 56) - 1;
  t.calls[1].policy = call_policy::at_most_once;
  t.calls[1].reply = t.calls[1].bulk = true;
  t.calls[1].to = other;
  t.calls[1].target = "cart";
  t.set = {timer_of("nudge", fixture.time.wall() + milliseconds{5}, "[1]")};
  t.notices = {{other, "hi \"you\""}};
  t.audience = {{key, audience_status::active, "en"}};
  auto r = commit_one(s, held, t);
  CHECK(r.outcome == committed);
  REQUIRE(r.appended.size() == 1);
  CHECK(r.appended[0].key == other);

  fixture.reopen();
  auto& later = *fixture;
  CHECK(later.backlog(held.shard, {}, 1).value().size() ==
        (shard_of_key(other) == held.shard ? 1U : 0U));
  const auto record = later.load_one(key);
  CHECK(record.key == key);
  CHECK(record.version == 1);
  CHECK(record.state == *t.state);
  CHECK(record.mode == "shop");
  CHECK(record.memo == "m");
  REQUIRE(record.labels.size() == 1);
  CHECK(record.labels[0].name == "cart");
  CHECK(record.labels[0].call == t.calls[0].id);
  CHECK(record.labels[0].message_id == 0);
  auto calls = later.outbox(held.shard).value();
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].label == "cart");
  CHECK(calls[0].from == key);
  CHECK(calls[0].at == t.calls[0].at);
  CHECK(calls[0].policy == call_policy::resend);
  CHECK_FALSE(calls[0].reply);
  CHECK_FALSE(calls[0].bulk);
  CHECK(calls[0].campaign == 0);
  CHECK(calls[0].event == t.calls[0].event);
  CHECK(calls[1].to == other);
  CHECK(calls[1].method == "sendMessage");
  CHECK(*calls[1].body == *t.calls[1].body);
  CHECK(calls[1].target == "cart");
  CHECK(calls[1].policy == call_policy::at_most_once);
  CHECK((calls[1].reply && calls[1].bulk && !calls[1].attempted));
  auto timers = later.timers(key).value();
  REQUIRE(timers.size() == 1);
  CHECK(timers[0].body == "[1]");
  auto notes = later.entries(shard_of_key(other), {r.appended[0].seq}).value();
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].type == entry_kind::notice);
  CHECK(*notes[0].body == R"({"from":"42","text":"hi \"you\""})");
  CHECK(*r.appended[0].body == *notes[0].body);
  auto who = later.audience().value();
  REQUIRE(who.size() == 1);
  CHECK(who[0].key == key);
  CHECK(who[0].language == "en");
}

TEST_CASE("what a turn does not name stays as it was", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = "S";
  t.mode = "M";
  t.memo = "E";
  commit_one(s, held, t);
  commit_one(s, held, turn_of(key, 1, accept_one(s, 2, key)));
  auto r = s.load_one(key);
  CHECK(r.version == 2);
  CHECK((r.state == "S" && r.mode == "M" && r.memo == "E"));
  auto clear = turn_of(key, 2, accept_one(s, 3, key));
  clear.state = "";
  commit_one(s, held, clear);
  r = s.load_one(key);
  CHECK((r.state.empty() && r.mode == "M" && r.version == 3));
}

TEST_CASE("records come in the order asked for, unknown ones empty",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  commit_one(s, held, turn_of(key, 0, accept_one(s, 1, key)));
  auto r = s.load({chat_key::chat(1), key, chat_key::poll(42)}).value();
  REQUIRE(r.size() == 3);
  CHECK((r[0].key == chat_key::chat(1) && r[0].version == 0));
  CHECK((r[1].key == key && r[1].version == 1));
  CHECK((r[2].key == chat_key::poll(42) && r[2].version == 0));
}

TEST_CASE("a turn committed again is stale and changes nothing (G2)",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = "1";
  t.calls = {call_of(key, make_call_id(held.term, 1))};
  t.notices = {{key, "x"}};
  CHECK(commit_one(s, held, t).outcome == committed);
  auto again = commit_one(s, held, t);
  CHECK(again.outcome == stale);
  CHECK(again.appended.empty());
  CHECK(s.load_one(key).version == 1);
  CHECK(s.outbox(held.shard).value().size() == 1);
  CHECK(s.backlog(held.shard).value().size() == 1);
  CHECK(commit_one(s, held, turn_of(key, 1, {999})).outcome == stale);
}

TEST_CASE("turns of one batch build on each other; a stale one is skipped",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto a = turn_of(key, 0, accept_one(s, 1, key));
  auto b = turn_of(key, 1, accept_one(s, 2, key));
  auto again = a;
  b.state = "b";
  auto r = s.commit(held, {a, again, b}).value();
  REQUIRE(r.size() == 3);
  CHECK(r[0].outcome == committed);
  CHECK(r[1].outcome == stale);
  CHECK(r[2].outcome == committed);
  CHECK((s.load_one(key).version == 2 && s.load_one(key).state == "b"));
}

TEST_CASE("a stale owner's writes are fenced and do nothing (G6)",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto old = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.calls = {call_of(key, make_call_id(old.term, 1))};
  commit_one(s, old, t);
  const auto held = s.claim_one(shard_of_key(key));
  auto next = turn_of(key, 1, accept_one(s, 2, key));
  CHECK(s.commit(old, {next}).error().code == errc::fenced);
  CHECK(s.settle(old, {settled(t.calls[0], call_outcome::sent)}).error().code ==
        errc::fenced);
  CHECK(s.load_one(key).version == 1);
  CHECK(s.outbox(held.shard).value().size() == 1);
  CHECK(commit_one(s, held, next).outcome == committed);
}

TEST_CASE("a turn on another version than the record's is corrupt, all undone",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto good = turn_of(key, 0, accept_one(s, 1, key));
  good.set = {timer_of("t", fixture.time.wall())};
  auto bad = turn_of(key, 7, accept_one(s, 2, key));
  CHECK(s.commit(held, {good, bad}).error().code == errc::corrupt);
  auto unborn = turn_of(key, 0, accept_one(s, 3, key));
  CHECK(s.commit(held, {good, unborn}).error().code == errc::corrupt);
  CHECK(s.load_one(key).version == 0);
  CHECK(s.timers(key).value().empty());
  CHECK(s.backlog(held.shard).value().size() == 3);
  CHECK(s.stats().timers == 0);
  CHECK(s.stats().journal == 3);
  CHECK(commit_one(s, held, good).outcome == committed);
}

TEST_CASE("a turn of a wrong shard, chat or kind is refused", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  const auto neighbour = key_in(held.shard, key_in(held.shard) == key ? 1 : 0);
  const auto seq = accept_one(s, 1, key);
  CHECK(s.commit(held, {turn_of(neighbour, 0, seq)}).error().code ==
        errc::corrupt);
  const auto far = key_in(
      {static_cast<std::uint16_t>((held.shard.value + 1) % shard_count)});
  CHECK(s.commit(held, {turn_of(far, 0, seq)}).error().code == errc::bad_input);
  CHECK(s.commit(held, {turn_of(key, 0, {})}).error().code == errc::bad_input);
  auto t = turn_of(key, 0, seq);
  t.set = {{neighbour, "x", fixture.time.wall(), ""}};
  CHECK(s.commit(held, {t}).error().code == errc::bad_input);
  t.set.clear();
  t.calls = {call_of(neighbour, {1})};
  CHECK(s.commit(held, {t}).error().code == errc::bad_input);
  CHECK(s.backlog(held.shard).value().size() == 1);
}

TEST_CASE("a timer is handed out when due and stays until a turn takes it",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto now = fixture.time.wall();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.set = {timer_of("b", now + milliseconds{20}),
           timer_of("a", now + milliseconds{10}, "{}"),
           timer_of("c", now + milliseconds{30})};
  CHECK_FALSE(s.due({held.shard}, now).value().next.has_value());
  commit_one(s, held, t);
  auto none = s.due({held.shard}, now).value();
  CHECK(none.due.empty());
  CHECK(none.next == now + milliseconds{10});
  fixture.reopen();
  auto& later = *fixture;
  const auto mine = later.claim_one(held.shard);
  for (int i = 0; i < 2; ++i) {
    auto two = later.due({held.shard}, now + milliseconds{20}).value();
    REQUIRE(two.due.size() == 2);
    CHECK((two.due[0].name == "a" && two.due[0].body == "{}"));
    CHECK((two.due[1].name == "b" && two.due[1].key == key));
    CHECK(two.next == now + milliseconds{30});
  }
  auto one = later.due({held.shard}, now + milliseconds{40}, 1).value();
  CHECK(one.due.size() == 1);
  CHECK(one.next == now + milliseconds{20});

  auto fire = turn_of(key, 1, {});
  fire.fired = timer_of("a", now + milliseconds{10});
  fire.set = {timer_of("a", now + milliseconds{99})};  // again, by itself
  CHECK(commit_one(later, mine, fire).outcome == committed);
  CHECK(commit_one(later, mine, fire).outcome == stale);
  CHECK(later.load_one(key).version == 2);
  CHECK(later.stats().timers == 3);
  auto left = later.due({held.shard}, now + milliseconds{99}).value();
  REQUIRE(left.due.size() == 3);
  CHECK(left.due[2].name == "a");
  CHECK_FALSE(left.next.has_value());
}

TEST_CASE("timers of many shards come earliest first", "[contract]") {
  TROUPE_EACH_STORE();
  const auto now = fixture.time.wall();
  std::vector<shard_id> all;
  for (std::uint16_t i = 0; i < shard_count; ++i) {
    all.push_back({i});
    const auto k = key_in({i});
    auto t = turn_of(k, 0, accept_one(s, i, k));
    t.set = {{k, "t", now + milliseconds{100 - i}, ""}};
    commit_one(s, s.claim_one({i}), t);
  }
  auto some = s.due(all, now + milliseconds{1000}, 3).value();
  REQUIRE(some.due.size() == 3);
  CHECK(some.due[0].due == now + milliseconds{100 - shard_count + 1});
  CHECK(
      (some.due[0].due < some.due[1].due && some.due[1].due < some.due[2].due));
  CHECK(some.next == some.due[2].due + milliseconds{1});
}

TEST_CASE("a timer replaces its namesake; cancelled, it is gone",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto now = fixture.time.wall();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.set = {timer_of("x", now), timer_of("y", now)};
  commit_one(s, held, t);
  CHECK(s.due({held.shard}, now).value().due.size() == 2);
  t = turn_of(key, 1, accept_one(s, 2, key));
  t.set = {timer_of("x", now + milliseconds{5}, "new")};
  t.cancel = {"y", "unknown"};
  commit_one(s, held, t);
  auto left = s.timers(key).value();
  REQUIRE(left.size() == 1);
  CHECK((left[0].name == "x" && left[0].body == "new"));
  CHECK(s.stats().timers == 1);
  auto due = s.due({held.shard}, now).value();
  CHECK(due.due.empty());
  CHECK(due.next == now + milliseconds{5});
  auto old = turn_of(key, 2, {});
  old.fired = timer_of("x", now);  // the replaced one
  CHECK(commit_one(s, held, old).outcome == stale);
  t = turn_of(key, 2, accept_one(s, 3, key));
  t.cancel = {"x"};
  commit_one(s, held, t);
  CHECK_FALSE(s.due({held.shard}, now).value().next.has_value());
}

TEST_CASE("an expired state is not loaded, its version goes on", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = "S";
  t.mode = "M";
  t.memo = "E";
  t.calls = {call_of(key, make_call_id(held.term, 1), "cart")};
  t.expires = fixture.time.wall() + milliseconds{100};
  commit_one(s, held, t);
  fixture.time.advance(milliseconds{99});
  CHECK(s.load_one(key).state == "S");
  CHECK(s.load_one(key).expires == t.expires);
  fixture.time.advance(milliseconds{1});
  CHECK_FALSE(s.load_one(key).expires);
  auto r = s.load_one(key);
  CHECK((r.state.empty() && r.mode.empty() && r.memo.empty()));
  CHECK((r.version == 1 && r.labels.size() == 1 && r.expired));
  // Whoever turns on it says that it is gone.
  t = turn_of(key, 1, accept_one(s, 2, key));
  t.state = t.mode = t.memo = "";
  t.expires = fixture.time.wall() + std::chrono::hours{1};
  commit_one(s, held, t);
  r = s.load_one(key);
  CHECK((r.state.empty() && r.memo.empty() && r.version == 2 && !r.expired));
  // A put without an end has none.
  t = turn_of(key, 2, accept_one(s, 3, key));
  t.state = "T";
  commit_one(s, held, t);
  fixture.time.advance(std::chrono::hours{1000});
  CHECK(s.load_one(key).state == "T");
}

TEST_CASE("a chat keeps the labels of its latest calls, up to a bound",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  std::uint32_t n = 0;
  for (std::uint64_t version = 0; version < 3; ++version) {
    auto t = turn_of(key, version, accept_one(s, int(version) + 1, key));
    for (int i = 0; i < 100; ++i, ++n)
      t.calls.push_back(call_of(key, make_call_id(held.term, n + 1),
                                "order-" + std::to_string(n)));
    commit_one(s, held, t);
  }
  std::set<std::string> names;
  for (auto& l : s.load_one(key).labels)
    names.insert(l.name);
  CHECK(names.size() == most_labels);
  CHECK(names.count("order-" + std::to_string(n - 1)) == 1);
  CHECK(names.count("order-" + std::to_string(n - most_labels)) == 1);
  CHECK(names.count("order-" + std::to_string(n - most_labels - 1)) == 0);
}

TEST_CASE("a dead letter keeps its update and can be retried once",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  for (int i = 0; i < 3; ++i) {
    auto t = turn_of(key, static_cast<std::uint64_t>(i),
                     accept_one(s, i + 1, key, "body" + std::to_string(i)));
    t.dead = "threw " + std::to_string(i);
    CHECK(commit_one(s, held, t).outcome == committed);
    CHECK(commit_one(s, held, t).outcome == stale);
  }
  CHECK(s.backlog(held.shard).value().empty());
  CHECK(s.load_one(key).version == 3);
  fixture.reopen();
  auto& later = *fixture;
  auto dead = later.dead_letters().value();
  REQUIRE(dead.size() == 3);
  CHECK(dead[1].key == key);
  CHECK(dead[1].shard == held.shard);
  CHECK(dead[1].update == update_id{2});
  CHECK(dead[1].error == "threw 1");
  CHECK(*dead[1].body == "body1");
  CHECK(dead[1].accepted_at == from_ms(1'699'999'999'000));
  CHECK(dead[1].died_at == fixture.time.wall());
  CHECK((dead[0].id < dead[1].id && dead[1].id < dead[2].id));
  CHECK(later.dead_letters(dead[0].id, 1).value().at(0).id == dead[1].id);

  auto back = later.retry({dead[1].id, {999}, dead[0].id}).value();
  REQUIRE(back.size() == 2);
  CHECK((back[0].seq == seq_no{4} && *back[0].body == "body0"));
  CHECK((back[1].seq == seq_no{5} && back[1].id == update_id{2}));
  CHECK(later.retry({dead[0].id}).value().empty());
  CHECK(later.backlog(held.shard).value().size() == 2);
  CHECK(later.drop({dead[2].id, dead[1].id}).value() == 1);
  CHECK(later.dead_letters().value().empty());
  CHECK(later.stats().dead_letters == 0);
}

TEST_CASE("a timer that failed for good becomes a dead letter too",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.set = {timer_of("nudge", fixture.time.wall(), "{\"a\":1}")};
  commit_one(s, held, t);
  auto fire = turn_of(key, 1, {});
  fire.fired = timer_of("nudge", fixture.time.wall());
  fire.dead = "threw";
  CHECK(commit_one(s, held, fire).outcome == committed);
  CHECK(s.timers(key).value().empty());
  auto dead = s.dead_letters().value();
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].type == entry_kind::timer);
  auto back = s.retry({dead[0].id}).value();
  REQUIRE(back.size() == 1);
  CHECK(*back[0].body == R"({"name":"nudge","body":"{\"a\":1}"})");
  CHECK(commit_one(s, held, turn_of(key, 2, back[0].seq)).outcome == committed);
}

TEST_CASE("the audience remembers the first and the last sight", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  const auto first = fixture.time.wall();
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.audience = {{key, audience_status::active, "de"},
                {chat_key::chat(-5), audience_status::active, ""},
                {chat_key::chat(99), audience_status::gone, ""}};
  commit_one(s, held, t);
  fixture.time.advance(milliseconds{500});
  t = turn_of(key, 1, accept_one(s, 2, key));
  t.audience = {{key, audience_status::blocked, ""}};
  commit_one(s, held, t);
  fixture.reopen();
  auto& later = *fixture;
  const auto all = later.audience().value();
  REQUIRE(all.size() == 3);
  auto of = [&](chat_key k) {
    for (const auto& m : all)
      if (m.key == k)
        return m;
    FAIL("no " << to_string(k));
    return member{};
  };
  CHECK(of(chat_key::chat(-5)).status == audience_status::active);
  CHECK(of(key).status == audience_status::blocked);
  CHECK(of(key).language == "de");
  CHECK(of(key).first_seen == first);
  CHECK(of(key).last_seen == first + milliseconds{500});
  CHECK(of(chat_key::chat(99)).status == audience_status::gone);
  // Page by page the same members, in the same order.
  std::optional<chat_key> after;
  for (const auto& m : all) {
    const auto page = later.audience(after, 1).value();
    REQUIRE(page.size() == 1);
    CHECK(page[0].key == m.key);
    after = m.key;
  }
  CHECK(later.audience(after).value().empty());
}

TEST_CASE("figures count what is there", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  accept_one(s, 2, key);
  t.calls = {call_of(key, {1}), call_of(key, {2})};
  t.set = {timer_of("x", fixture.time.wall())};
  commit_one(s, held, t);
  fixture.reopen();
  auto f = (*fixture).stats();
  CHECK((f.journal == 1 && f.outbox == 2 && f.timers == 1 && f.chats == 1));
  CHECK(f.dead_letters == 0);
  CHECK(f.bytes > 0);
}

TEST_CASE("looking at an expired record changes nothing for its owner",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.state = "S";
  t.mode = "M";
  t.memo = "E";
  t.expires = fixture.time.wall() + milliseconds{100};
  commit_one(s, held, t);
  // Turned before the end on the copy in memory, committed after it.
  t = turn_of(key, 1, accept_one(s, 2, key));
  t.expires = fixture.time.wall() + std::chrono::hours{1};
  fixture.time.advance(milliseconds{101});
  CHECK(s.load_one(key).expired);
  commit_one(s, held, t);
  const auto r = s.load_one(key);
  CHECK((r.state == "S" && r.mode == "M" && r.memo == "E" && !r.expired));
}
