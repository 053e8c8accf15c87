#include <condition_variable>
#include <mutex>

#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

const chat_key key = chat_key::chat(42);
const chat_key group = chat_key::chat(-100);

// Commits one turn with the given calls; its lease.
lease commit_calls(sync_store& s, std::vector<call> calls) {
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  t.calls = std::move(calls);
  auto r = s.commit(held, {t});
  REQUIRE(r.has_value());
  return held;
}

}  // namespace

TEST_CASE("a call for another chat to make stands in that chat's journal",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  const auto other = chat_key::chat(-77);
  auto t = turn_of(key, 0, accept_one(s, 1, key));
  const std::string body = R"({"method":"sendDice","body":{},"label":""})";
  t.notices = {{other, body, entry_kind::call}, {key, body, entry_kind::call}};
  const auto receipts = s.commit(held, {t}).value();
  REQUIRE(receipts.size() == 1);
  const auto& r = receipts[0];
  REQUIRE(r.appended.size() == 2);
  for (const auto& e : r.appended) {
    CHECK(e.type == entry_kind::call);
    const auto there = s.entries(shard_of_key(e.key), {e.seq}).value();
    REQUIRE(there.size() == 1);
    CHECK(there[0].type == entry_kind::call);
    CHECK(there[0].key == e.key);
    CHECK(*there[0].body == body);
  }
  t = turn_of(key, 1, accept_one(s, 2, key));
  t.notices = {{other, body, entry_kind::update}};
  CHECK(s.commit(held, {t}).error().code == errc::bad_input);
}

TEST_CASE("a settled call is gone; settled again, it is skipped (G5)",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto a = call_of(key, {1});
  const auto b = call_of(key, {2});
  const auto held = commit_calls(s, {a, b, call_of(key, {3})});
  auto r = s.settle(held, {settled(a, call_outcome::sent, 7),
                           settled(b, call_outcome::failed)})
               .value();
  CHECK((r.size() == 2 && !r[0] && !r[1]));
  auto again = settled(a, call_outcome::sent, 8);
  again.event = make_payload("{}");
  CHECK_FALSE(s.settle(held, {again}).value().at(0).has_value());
  CHECK(s.backlog(held.shard).value().empty());
  fixture.reopen();
  auto left = (*fixture).outbox(held.shard).value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].id == call_id{3});
  CHECK((*fixture).stats().outbox == 1);
}

TEST_CASE("the outbox comes in id order, from a place, up to a limit",
          "[contract]") {
  TROUPE_EACH_STORE();
  std::vector<call> all;
  for (std::uint32_t i = 9; i >= 1; --i)
    all.push_back(call_of(key, make_call_id({7}, i)));
  const auto held = commit_calls(s, all);
  auto some = s.outbox(held.shard, make_call_id({7}, 2), 3).value();
  REQUIRE(some.size() == 3);
  CHECK(some[0].id == make_call_id({7}, 3));
  CHECK(some[2].id == make_call_id({7}, 5));
  CHECK(s.outbox(held.shard, {~0ULL}).value().empty());
  auto named =
      s.calls(held.shard, {make_call_id({7}, 8), {1}, make_call_id({7}, 1)})
          .value();
  REQUIRE(named.size() == 2);
  CHECK(named[0].id == make_call_id({7}, 1));
}

TEST_CASE("a call id that is there already is corrupt", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = commit_calls(s, {call_of(key, {1})});
  auto t = turn_of(key, 1, accept_one(s, 2, key));
  t.calls = {call_of(key, {1})};
  CHECK(s.commit(held, {t}).error().code == errc::corrupt);
  CHECK(s.load_one(key).version == 1);
  CHECK(s.stats().outbox == 1);
  // Nor is anything left of what came before it in the same step.
  t.calls = {call_of(key, {3}), call_of(key, {4}), call_of(key, {3})};
  CHECK(s.commit(held, {t}).error().code == errc::corrupt);
  CHECK(s.stats().outbox == 1);
  t.calls = {call_of(key, {2})};
  auto next = turn_of(key, 2, accept_one(s, 3, key));
  next.calls = {call_of(key, {1})};
  CHECK(s.commit(held, {t, next}).error().code == errc::corrupt);
  CHECK(s.load_one(key).version == 1);
  auto left = s.outbox(held.shard).value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].id == call_id{1});
  CHECK(s.backlog(held.shard).value().size() == 2);
}

TEST_CASE("a labelled call's outcome becomes an entry in the same step",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto a = call_of(key, {1}, "cart");
  const auto held = commit_calls(s, {a});
  auto end = settled(a, call_outcome::sent, 555);
  end.event = make_payload(R"({"sent":555})");
  auto r = s.settle(held, {end}).value();
  REQUIRE(r.at(0).has_value());
  CHECK(r[0]->type == entry_kind::outcome);
  CHECK(r[0]->seq == seq_no{2});
  CHECK(r[0]->key == key);
  fixture.reopen();
  auto log = (*fixture).backlog(held.shard).value();
  REQUIRE(log.size() == 1);
  CHECK(*log[0].body == R"({"sent":555})");
  CHECK(log[0].type == entry_kind::outcome);
  auto record = (*fixture).load_one(key);
  CHECK(record.version == 1);
  REQUIRE(record.labels.size() == 1);
  CHECK(record.labels[0].message_id == 555);
}

TEST_CASE("a label keeps its latest call, whatever is settled later",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto old = call_of(key, {1}, "cart");
  const auto held = commit_calls(s, {old, call_of(key, {2}, "other")});
  const auto now = call_of(key, {3}, "cart");
  auto t = turn_of(key, 1, accept_one(s, 2, key));
  t.calls = {now};
  CHECK(s.commit(held, {t}).has_value());
  CHECK(s.settle(held, {settled(old, call_outcome::sent, 11)}).has_value());
  auto labels = s.load_one(key).labels;
  REQUIRE(labels.size() == 2);
  CHECK((labels[0].name == "cart" && labels[0].call == now.id));
  CHECK(labels[0].message_id == 0);
  CHECK(s.settle(held, {settled(now, call_outcome::sent, 12)}).has_value());
  CHECK(s.load_one(key).labels[0].message_id == 12);
}

TEST_CASE("an attempt is noted and does not end the call", "[contract]") {
  TROUPE_EACH_STORE();
  auto a = call_of(key, {1});
  a.policy = call_policy::at_most_once;
  const auto held = commit_calls(s, {a});
  CHECK(s.settle(held, {settled(a, call_outcome::attempting),
                        settled(call_of(key, {9}), call_outcome::attempting)})
            .has_value());
  fixture.reopen();
  auto& later = *fixture;
  auto left = later.outbox(held.shard).value();
  REQUIRE(left.size() == 1);
  CHECK(left[0].attempted);
  CHECK(left[0].policy == call_policy::at_most_once);
  const auto mine = later.claim_one(held.shard);
  CHECK(later.settle(mine, {settled(a, call_outcome::unknown)}).has_value());
  CHECK(later.outbox(held.shard).value().empty());
}

TEST_CASE("what groups spent is remembered for a minute (G7)", "[contract]") {
  TROUPE_EACH_STORE();
  auto a = call_of(key, {1});
  auto b = call_of(key, {2});
  auto c = call_of(key, {3});
  a.to = b.to = group;
  const auto held = commit_calls(s, {a, b, c});
  const auto now = fixture.time.wall();
  auto spend = [&](const call& what, std::uint16_t messages) {
    auto e = settled(what, call_outcome::sent, 1);
    e.spent_at = now;
    e.spent = messages;
    return e;
  };
  CHECK(s.settle(held, {spend(a, 3), spend(b, 1), spend(c, 1)}).has_value());
  CHECK(s.settle(held, {spend(a, 3)}).has_value());  // repeated: skipped
  fixture.reopen();
  auto& later = *fixture;
  auto spent = later.spent(now - milliseconds{1}).value();
  REQUIRE(spent.size() == 1);
  CHECK((spent[0].to == group && spent[0].messages == 4));
  CHECK(spent[0].at == now);
  CHECK(later.spent(now + milliseconds{1}).value().empty());
  fixture.time.advance(spending_window + milliseconds{1});
  CHECK(later.spent(from_ms(0)).value().empty());
}

TEST_CASE("a mark remembers what a group was sent before it (G7)",
          "[contract]") {
  TROUPE_EACH_STORE();
  auto a = call_of(key, {1});
  auto b = call_of(key, {2});
  a.to = b.to = group;
  const auto held = commit_calls(s, {a, b});
  const auto now = fixture.time.wall();
  auto spend = [&](const call& what, call_outcome how, wall_time at) {
    auto e = settled(what, how, how == call_outcome::sent ? 1 : 0);
    e.spent_at = at;
    e.spent = 1;
    return e;
  };
  // Two attempts at the same call, and its end.
  for (const auto after : {0, 10, 20})
    CHECK(s.settle(held, {spend(a,
                                after < 20 ? call_outcome::attempting
                                           : call_outcome::sent,
                                now + milliseconds{after})})
              .has_value());
  // Within one millisecond of its mark, too.
  CHECK(s.settle(held,
                 {spend(b, call_outcome::attempting, now + milliseconds{20})})
            .has_value());
  CHECK(s.settle(held, {spend(b, call_outcome::sent, now + milliseconds{20})})
            .has_value());
  // It is over: there is nothing to mark.
  CHECK(s.settle(held,
                 {spend(a, call_outcome::attempting, now + milliseconds{30})})
            .has_value());
  fixture.reopen();
  auto& later = *fixture;
  const auto spent = later.spent(now).value();
  REQUIRE(spent.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK((spent[i].to == group && spent[i].messages == (i < 2 ? 1 : 3)));
    CHECK(spent[i].at == now + milliseconds{10} * int(i));
  }
  CHECK(later.outbox(held.shard).value().empty());
}

TEST_CASE("a refusal can end a member's standing", "[contract]") {
  TROUPE_EACH_STORE();
  const auto a = call_of(key, {1});
  const auto held = commit_calls(s, {a});
  auto end = settled(a, call_outcome::failed);
  end.audience = audience_change{key, audience_status::blocked, ""};
  CHECK(s.settle(held, {end}).has_value());
  auto who = s.audience().value();
  REQUIRE(who.size() == 1);
  CHECK(who[0].status == audience_status::blocked);
}

TEST_CASE("a settlement can tell that a member moved", "[contract]") {
  TROUPE_EACH_STORE();
  const auto a = call_of(key, {1});
  const auto held = commit_calls(s, {a});
  auto end = settled(a, call_outcome::sent);
  end.audience = audience_change{group, audience_status::migrated, ""};
  const auto there = chat_key::chat(-1'000'000'000'100);
  end.joined = audience_change{there, audience_status::active, ""};
  CHECK(s.settle(held, {end}).has_value());
  fixture.reopen();
  auto who = fixture->audience().value();
  REQUIRE(who.size() == 2);
  for (const auto& m : who)
    CHECK(m.status == (m.key == there ? audience_status::active
                                      : audience_status::migrated));
}

TEST_CASE("outcomes of a campaign's calls are added up once (G5)",
          "[contract]") {
  TROUPE_EACH_STORE();
  std::vector<call> all;
  for (std::uint64_t n = 1; n <= 6; ++n) {
    all.push_back(call_of(key, {n}));
    all.back().bulk = true;
    all.back().campaign = n == 6 ? 8 : 7;
  }
  const auto held = commit_calls(s, all);
  fixture.reopen();
  auto& later = *fixture;
  const auto left = later.outbox(held.shard).value();
  REQUIRE(left.size() == 6);
  CHECK((left[0].bulk && left[0].campaign == 7 && left[5].campaign == 8));
  const auto mine = later.claim_one(held.shard);
  auto end = [&](std::size_t i, call_outcome how) {
    auto e = settled(left[i], how);
    e.campaign = left[i].campaign;
    return e;
  };
  auto gone = end(2, call_outcome::failed);
  gone.audience = audience_change{key, audience_status::blocked, ""};
  const std::vector<settlement> ends{
      end(0, call_outcome::sent), end(1, call_outcome::failed), gone,
      end(3, call_outcome::unknown), end(5, call_outcome::sent)};
  CHECK(later.settle(mine, {end(0, call_outcome::attempting)}).has_value());
  CHECK(later.tallies({7})[0].ended() == 0);
  CHECK(later.settle(mine, ends).has_value());
  CHECK(later.settle(mine, ends).has_value());  // repeated: skipped
  fixture.reopen();
  const auto sums = fixture->tallies({8, 9, 7});
  REQUIRE(sums.size() == 3);
  CHECK((sums[0].sent == 1 && sums[0].ended() == 1));
  CHECK(sums[1].ended() == 0);
  CHECK((sums[2].sent == 1 && sums[2].failed == 1 && sums[2].blocked == 1 &&
         sums[2].unknown == 1));
}

TEST_CASE("a settlement of another shard's call is refused", "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = commit_calls(s, {});
  const auto far = key_in(
      {static_cast<std::uint16_t>((held.shard.value + 1) % shard_count)});
  CHECK(s.settle(held, {settled(call_of(far, {1}), call_outcome::sent)})
            .error()
            .code == errc::bad_input);
}

TEST_CASE("a closed store cancels, and closing twice is fine", "[contract]") {
  TROUPE_EACH_STORE();
  accept_one(s, 1, key);
  s->close();
  s->close();
  CHECK(s.accept({arriving(2, key)}).error().code == errc::cancelled);
  CHECK(s.load({key}).error().code == errc::cancelled);
  fixture.reopen();
  if (fixture.durable())
    CHECK((*fixture).backlog(shard_of_key(key)).value().size() == 1);
}

TEST_CASE("calls that wait when the store closes are done and answered",
          "[contract]") {
  TROUPE_EACH_STORE();
  std::atomic<int> fresh{0};
  for (int i = 0; i < 2000; ++i)
    s->accept({arriving(i, key)}, [&](result<std::vector<receipt>> r) {
      if (r && r->at(0).fresh)
        ++fresh;
    });
  s->close();
  CHECK(fresh == 2000);
  fixture.reopen();
  if (fixture.durable())
    CHECK((*fixture).stats().journal == 2000);
}

TEST_CASE("callbacks may call again, one at a time, in order", "[contract]") {
  TROUPE_EACH_STORE();
  std::promise<void> done;
  std::atomic<int> inside{0};
  std::atomic<bool> alone{true};
  std::vector<int> order;
  std::function<void(int)> step = [&](int n) {
    s->accept({arriving(n, key)}, [&, n](result<std::vector<receipt>>) {
      if (++inside != 1)
        alone = false;
      order.push_back(n);
      if (n < 50)
        step(n + 1);
      else
        done.set_value();
      --inside;
    });
  };
  step(1);
  REQUIRE(done.get_future().wait_for(std::chrono::seconds{60}) ==
          std::future_status::ready);
  s->close();
  CHECK(alone);
  CHECK(order.size() == 50);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("four threads accept, commit and settle without loss (G1)",
          "[contract]") {
  TROUPE_EACH_STORE();
  constexpr int threads = 4;
  constexpr int each = 150;
  std::vector<std::thread> all;
  std::atomic<int> good{0};
  std::vector<lease> leases(threads);
  for (int i = 0; i < threads; ++i)
    leases[static_cast<std::size_t>(i)] =
        s.claim_one({static_cast<std::uint16_t>(i)});
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&, i] {
      // No assertions here: Catch2's are for one thread.
      const auto held = leases[static_cast<std::size_t>(i)];
      const auto mine = key_in(held.shard);
      for (int n = 0; n < each; ++n) {
        std::promise<bool> done;
        const auto id = call_id{static_cast<std::uint64_t>(n) + 1};
        s->accept(
            {arriving(i * 100'000 + n, mine)},
            [&](result<std::vector<receipt>> r) {
              auto t = turn_of(mine, static_cast<std::uint64_t>(n),
                               r ? r->at(0).seq : seq_no{});
              t.calls = {call_of(mine, id)};
              s->commit(held, {t}, [&](result<std::vector<turn_receipt>> c) {
                const bool fine =
                    c && c->at(0).outcome == turn_receipt::status::committed;
                s->settle(
                    held, {settled(call_of(mine, id), call_outcome::sent)},
                    [&, fine](result<std::vector<std::optional<entry>>> e) {
                      done.set_value(fine && e);
                    });
              });
            });
        if (done.get_future().get())
          ++good;
      }
    });
  for (auto& t : all)
    t.join();
  CHECK(good == threads * each);
  const auto f = s.stats();
  CHECK((f.journal == 0 && f.outbox == 0 && f.chats == threads));
}

TEST_CASE("a refused call becomes a dead letter, and goes back when retried",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto a = call_of(key, {1});
  const auto held = commit_calls(s, {a});
  auto o = settled(a, call_outcome::failed);
  o.dead = "400 Bad Request: message text is empty";
  o.dead_body = make_payload(R"({"method":"sendMessage","body":{}})");
  CHECK(s.settle(held, {o}).has_value());
  CHECK(s.settle(held, {o}).has_value());  // a repeat adds nothing
  fixture.reopen();
  auto& again = *fixture;
  CHECK(again.stats().outbox == 0);
  auto dead = again.dead_letters().value();
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].type == entry_kind::call);
  CHECK(dead[0].key == key);
  CHECK(dead[0].error == *o.dead);
  CHECK(*dead[0].body == *o.dead_body);
  auto back = again.retry({dead[0].id}).value();
  REQUIRE(back.size() == 1);
  CHECK(back[0].type == entry_kind::call);
  CHECK(*back[0].body == *o.dead_body);
  CHECK(again.dead_letters().value().empty());
}

TEST_CASE("a label keeps its last message until the next one is sent",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto old = call_of(key, {1}, "cart");
  const auto held = commit_calls(s, {old});
  CHECK(s.settle(held, {settled(old, call_outcome::sent, 11)}).has_value());
  const auto now = call_of(key, {2}, "cart");
  auto t = turn_of(key, 1, accept_one(s, 2, key));
  t.calls = {now};
  CHECK(s.commit(held, {t}).has_value());
  auto label = s.load_one(key).labels.at(0);
  CHECK((label.call == now.id && label.message_id == 11));
  CHECK(s.settle(held, {settled(now, call_outcome::sent, 12)}).has_value());
  CHECK(s.load_one(key).labels.at(0).message_id == 12);
}

TEST_CASE("a label keeps its message past what names none, or another chat",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto first = call_of(key, {1}, "cart");
  const auto held = commit_calls(s, {first});
  CHECK(s.settle(held, {settled(first, call_outcome::sent, 11)}).has_value());
  auto edit = call_of(key, {2}, "cart");
  auto away = call_of(key, {3}, "cart");
  away.to = chat_key::chat(777);
  std::uint64_t version = 1;
  for (const auto& c : {edit, away}) {
    const auto seq = accept_one(s, std::int64_t(version) + 1, key);
    auto t = turn_of(key, version++, seq);
    t.calls = {c};
    REQUIRE(s.commit(held, {t}).has_value());
    auto end = settled(c, call_outcome::sent, c.to == key ? 0 : 99);
    CHECK(s.settle(held, {end}).has_value());
    CHECK(s.load_one(key).labels.at(0).message_id == 11);
  }
}
