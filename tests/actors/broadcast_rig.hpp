#pragma once

#include "tests/actors/rig.hpp"
#include "tests/support/catch.hpp"

/// Campaigns on a whole node, as a person sees them.
namespace troupe::testing {

template <class T, class Start>
result<T> answer_to(Start start) {
  std::promise<result<T>> p;
  start([&](result<T> r) { p.set_value(std::move(r)); });
  return p.get_future().get();
}

/// Puts these chats into the audience, before a node has the store.
inline void seed(store::backend& s, const std::vector<std::int64_t>& chats) {
  const auto key = chat_key::chat(1);
  const auto shard = shard_of(key, s.shards());
  auto held = answer_to<std::vector<store::lease>>([&](auto done) {
                s.claim({shard}, "seed", 60s, done);
              }).value();
  auto got =
      answer_to<std::vector<store::receipt>>([&](auto done) {
        s.accept({{{1}, key, store::make_payload("{}"), system_clock().wall()}},
                 done);
      }).value();
  store::turn t;
  t.key = key;
  t.seq = got.front().seq;
  for (const auto id : chats)
    t.audience.push_back(
        {chat_key::chat(id), store::audience_status::active, "de"});
  REQUIRE(answer_to<std::vector<store::turn_receipt>>([&](auto done) {
            s.commit(held.front(), {t}, done);
          }).has_value());
  REQUIRE(
      answer_to<void>([&](auto done) { s.release(held, done); }).has_value());
}

/// The same with private chats 1 to `members`.
inline void seed(store::backend& s, std::int64_t members) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 1; i <= members; ++i)
    all.push_back(i);
  seed(s, all);
}

inline json::object page_of(rig& r, std::int64_t number = 1) {
  for (;;) {
    auto page = answer_to<std::string>(
        [&](auto done) { r.node().campaigns(number, done); });
    if (page)
      return parse_json(*page).value().as_object();
  }
}

inline std::int64_t count(const json::object& page, const char* name) {
  return page.at(name).to_number<std::int64_t>();
}

inline void start(rig& r, const char* more = "") {
  auto page = answer_to<std::string>([&](auto done) {
    r.node().start_campaign(
        R"({"name":"news","method":"sendMessage","params":{"text":"hi"})" +
            std::string{more} + "}",
        done);
  });
  REQUIRE(page.has_value());
  CHECK(parse_json(*page).value().at("id") == 1);
}

/// Begins a campaign under a key, again until it is told that it has begun.
inline json::object begin(rig& r, const std::string& request,
                          const std::string& more = "") {
  const auto command = R"({"method":"sendMessage","params":{"text":"hi"},)"
                       R"("request":")" +
                       request + "\"" + more + "}";
  for (;;) {
    auto page = answer_to<std::string>(
        [&](auto done) { r.node().start_campaign(command, done); });
    if (page)
      return parse_json(*page).value().as_object();
    INFO(to_string(page.error()));
    REQUIRE(page.error().code != errc::conflict);
    REQUIRE(page.error().code != errc::bad_input);
  }
}

/// Until another campaign, the one of that number, had many ticks: what would
/// happen by time has happened.
inline void pass_time(rig& r, std::int64_t number) {
  const auto page = begin(r, "time-" + std::to_string(number), R"(,"rate":40)");
  CHECK(count(page, "id") == number);
  CHECK(
      eventually([&] { return count(page_of(r, number), "released") >= 40; }));
  REQUIRE(answer_to<std::string>([&](auto done) {
            r.node().steer_campaign(number, "cancel", done);
          }).has_value());
}

/// Read past whatever stands before the store: no operation of the node's.
inline bool ends_in(store::backend& s) {
  return eventually([&] {
    auto of = answer_to<std::vector<store::chat_record>>(
        [&](auto done) { s.load({chat_key::campaign(1)}, done); });
    return of &&
           of->front().state.find(R"("state":"done")") != std::string::npos;
  });
}

inline bool ends(rig& r) {
  return eventually([&] { return page_of(r).at("state") == "done"; });
}

inline void steer(rig& r, const char* what) {
  REQUIRE(answer_to<std::string>([&](auto done) {
            r.node().steer_campaign(1, what, done);
          }).has_value());
}

/// Nobody twice, and nobody left out who is not counted.
inline void check_each_once(telegram_double& telegram, rig& r,
                            std::int64_t members) {
  const auto page = page_of(r);
  std::int64_t missed = 0;
  for (std::int64_t i = 1; i <= members; ++i) {
    CHECK(telegram.texts(i).size() <= 1);
    missed += telegram.texts(i).empty() ? 1 : 0;
  }
  CHECK(count(page, "sent") + count(page, "unknown") == members);
  CHECK(count(page, "released") == members);
  CHECK(missed <= count(page, "unknown"));
  CHECK(r.stats().at("store").at("outbox") == 0);
}

}  // namespace troupe::testing
