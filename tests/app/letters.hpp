#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "store/store.hpp"
#include "tests/support/catch.hpp"

/// Dead letters to test with.
namespace troupe::app::test {

/// Waits for what a store's call answers.
template <class T, class Call>
T wait_for(Call&& call) {
  auto slot = std::make_shared<std::promise<result<T>>>();
  auto coming = slot->get_future();
  call([slot](result<T> got) { slot->set_value(std::move(got)); });
  REQUIRE(coming.wait_for(std::chrono::seconds{60}) ==
          std::future_status::ready);
  auto got = coming.get();
  INFO((got ? std::string{} : to_string(got.error())));
  REQUIRE(got.has_value());
  return std::move(*got);
}

inline std::unique_ptr<store::backend> open_store(const std::string& url) {
  store::options how;
  how.url = url;
  auto got = store::open(how);
  INFO((got ? std::string{} : to_string(got.error())));
  REQUIRE(got.has_value());
  return std::move(*got);
}

/// Accepts `n` updates (ids from 1001) of chats 1..n and lets each die.
inline void make_dead_letters(store::backend& in, int n) {
  std::vector<store::arrival> batch;
  for (int i = 1; i <= n; ++i) {
    const std::int64_t id = 1000 + i;
    batch.push_back(
        {{id},
         chat_key::chat(i),
         store::make_payload("{\"update_id\":" + std::to_string(id) + "}"),
         system_clock().wall()});
  }
  const auto receipts = wait_for<std::vector<store::receipt>>(
      [&](auto done) { in.accept(batch, done); });
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    const auto leases = wait_for<std::vector<store::lease>>([&](auto done) {
      in.claim({receipts[i].shard}, "test", milliseconds{60'000}, done);
    });
    REQUIRE(leases.size() == 1);
    store::turn one;
    one.key = batch[i].key;
    one.seq = receipts[i].seq;
    one.dead = "handler threw: no price";
    const auto got = wait_for<std::vector<store::turn_receipt>>(
        [&](auto done) { in.commit(leases.front(), {one}, done); });
    REQUIRE(got.size() == 1);
    REQUIRE(got.front().outcome == store::turn_receipt::status::committed);
    std::promise<bool> released;
    in.release(leases,
               [&](result<> done) { released.set_value(done.has_value()); });
    REQUIRE(released.get_future().get());
  }
}

/// Puts private chats 1 to `n` into the audience, every second one German.
inline void make_members(store::backend& in, int n) {
  const auto key = chat_key::chat(1);
  const auto got = wait_for<std::vector<store::receipt>>([&](auto done) {
    in.accept({{{1}, key, store::make_payload("{}"), system_clock().wall()}},
              done);
  });
  const auto leases = wait_for<std::vector<store::lease>>([&](auto done) {
    in.claim({got.front().shard}, "test", milliseconds{60'000}, done);
  });
  store::turn t;
  t.key = key;
  t.seq = got.front().seq;
  t.state = "1";
  for (int i = 1; i <= n; ++i)
    t.audience.push_back({chat_key::chat(i), store::audience_status::active,
                          i % 2 == 0 ? "de" : "en"});
  wait_for<std::vector<store::turn_receipt>>(
      [&](auto done) { in.commit(leases.front(), {t}, done); });
  std::promise<bool> released;
  in.release(leases,
             [&](result<> done) { released.set_value(done.has_value()); });
  REQUIRE(released.get_future().get());
}

inline std::vector<dead_letter_id> letter_ids(store::backend& in) {
  std::vector<dead_letter_id> out;
  for (const auto& one : wait_for<std::vector<store::dead_letter>>(
           [&](auto done) { in.dead_letters({0}, 1000, done); })) {
    out.push_back(one.id);
  }
  return out;
}

}  // namespace troupe::app::test
