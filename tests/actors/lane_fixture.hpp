#pragma once

#include "actors/lane.hpp"
#include "core/json.hpp"
#include "tests/support/catch.hpp"

namespace troupe::actors::test {

using namespace std::chrono_literals;
using store::call_outcome;
using telegram::verdict;

inline const auto chat = chat_key::chat(42);

inline moment at(milliseconds t) {
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
  /// A 429.
  void too_many(call_id id, milliseconds retry_after, moment now) {
    telegram::answer a;
    a.what = verdict::retry_after;
    a.code = 429;
    a.retry_after = retry_after;
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

}  // namespace troupe::actors::test
