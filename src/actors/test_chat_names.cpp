// Keys of `once`, locks and SQL between the chats of a test.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "actors/turn_locks.hpp"
#include "troupe/detail/test_bench.hpp"

namespace troupe::detail {

std::uint64_t test_keys::take(const std::string& name,
                              const std::string& holder, std::int64_t now_ms,
                              std::int64_t ttl_ms) {
  auto& k = all[name];
  const bool lives = k.until_ms > now_ms;
  if (lives && k.holder != holder)
    return 0;
  k = {holder, now_ms + ttl_ms, lives ? k.token : ++last_token};
  return k.token;
}

void test_keys::free(const std::string& name, const std::string& holder) {
  auto it = all.find(name);
  if (it != all.end() && it->second.holder == holder)
    all.erase(it);
}

// As the runtime does it: all keys, or the turn is run again.
bool test_bench::reserve(const effects& wanted, const std::string& holder,
                         std::vector<std::string>& taken) {
  const auto name_of = [](const std::string& key) { return "once/" + key; };
  const auto before = taken.size();
  for (const auto& w : wanted.once)
    if (keys->take(name_of(w.key), holder, now_ms_, w.ttl_ms) == 0)
      taken.push_back(w.key);
  if (taken.size() != before)
    return false;
  std::erase_if(keys->all, [&](const auto& k) {
    return k.second.holder == holder && k.first.starts_with("once/") &&
           std::ranges::none_of(
               wanted.once, [&](auto& w) { return name_of(w.key) == k.first; });
  });
  return true;
}

namespace {

std::string line_of_sql(const wanted_sql& s) {
  std::string out = s.text;
  for (const auto& p : s.params)
    out += (&p == s.params.data() ? " [" : ", ") + p.value_or("NULL");
  return s.params.empty() ? out : out + ']';
}

}  // namespace

// As the runtime does it: all statements, or the turn is run again.
bool test_bench::execute(const effects& wanted,
                         std::vector<std::string>& unchanged) {
  const auto before = unchanged.size();
  std::vector<std::string> lines;
  for (const auto& s : wanted.sql) {
    lines.push_back(line_of_sql(s));
    if (database(lines.back()) == 0 && s.must_change)
      unchanged.push_back(s.key);
  }
  if (unchanged.size() != before)
    return false;
  std::ranges::move(lines, std::back_inserter(statements));
  return true;
}

/// Requests for locks that are due without time passing.
void test_bench::fire_due_locks() {
  std::vector<std::string> due;
  for (const auto& [name, at_ms] : timers)
    if (at_ms <= now_ms_ && name.starts_with(timer_of_lock("")))
      due.push_back(name);
  for (const auto& name : due)
    fire_lock(take_timer(name));
}

void test_bench::fire_lock(turn_event e) {
  auto request = lock_request_of(e).value();
  const auto token = keys->take(stored_lock(request.name), request.holder,
                                now_ms_, request.ttl_ms);
  if (token == 0 && now_ms_ < request.until_ms) {
    const auto due = next_try(request, now_ms_, 0);
    request.tries += 1;
    auto next = timer_for(request, due);
    timers[next.name] = next.due_ms;
    timer_bodies_[next.name] = std::move(next.body);
    return;
  }
  e.from = turn_event::source::lock;
  e.name = request.name;
  e.holder = request.holder;
  e.token = token;
  accept(std::move(e));
}

void test_bench::release_locks(const turn_event& event,
                               const turn_result& result) {
  for (const auto& l : result.wanted.unlocked)
    keys->free(stored_lock(l.name), l.holder);
  if (event.from == turn_event::source::lock && !result.wanted.keeps_lock)
    keys->free(stored_lock(event.name), event.holder);
}

bool test_bench::holds_lock(std::string_view name) const {
  const auto it = keys->all.find(stored_lock(name));
  return it != keys->all.end() && it->second.until_ms > now_ms_ &&
         it->second.holder.starts_with(std::to_string(chat_) + '/');
}

}  // namespace troupe::detail
