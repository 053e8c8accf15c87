// ctx->lock, keep and unlock, and the timers that stand for requests.

#include "actors/turn_locks.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "actors/turn_context.hpp"
#include "core/json.hpp"
#include "troupe/chat.hpp"
#include "troupe/events.hpp"

namespace troupe::detail {

namespace {

constexpr std::string_view lock_timer = ":lock:";

// A store operation has half of it: those of Redis wait up to 5 s.
constexpr std::chrono::milliseconds least_lock = std::chrono::seconds{10};
constexpr std::chrono::milliseconds longest_lock = std::chrono::days{1};
constexpr std::chrono::milliseconds longest_wait = std::chrono::days{7};
constexpr std::size_t longest_name = 256;
// They stand in the memo, which is read and written with the chat's record.
constexpr std::size_t most_kept = 16;

constexpr std::int64_t first_pause_ms = 50, longest_pause_ms = 1'000;

std::string hex(std::uint64_t n) {
  char text[16];
  const auto end = std::to_chars(text, text + sizeof text, n, 16).ptr;
  return {text, end};
}

void check_name(std::string_view name) {
  if (name.empty() || name.size() > longest_name)
    throw std::invalid_argument{"a lock's name must have 1 to 256 bytes"};
}

const kept_lock* kept(const turn_context& turn, std::string_view name) {
  auto it = std::ranges::find(turn.kept, name, &kept_lock::name);
  const bool given_up =
      std::ranges::find(turn.unlocked, name) != turn.unlocked.end();
  return it == turn.kept.end() || given_up ? nullptr : &*it;
}

}  // namespace

std::string timer_of_lock(std::string_view name) {
  return std::string{lock_timer} += name;
}

bool asks_for_lock(const turn_event& what) noexcept {
  return what.from == turn_event::source::timer &&
         what.name.starts_with(lock_timer);
}

result<lock_request> lock_request_of(const turn_event& what) {
  const error bad{errc::corrupt, "a bad request for a lock"};
  const auto value = parse_json(*what.body);
  const auto* object = value ? value->if_object() : nullptr;
  if (!object)
    return bad;
  const auto number = [&](const char* name) {
    const auto* v = object->if_contains(name);
    return v && v->is_int64() ? v->get_int64() : -1;
  };
  const auto* holder = object->if_contains("holder");
  const auto* kept = object->if_contains("kept");
  lock_request out;
  out.name = what.name.substr(lock_timer.size());
  out.ttl_ms = number("ttl_ms");
  out.until_ms = number("until_ms");
  const auto tries = number("tries");
  if (!holder || !holder->is_string() || !kept || !kept->is_bool() ||
      out.name.empty() || out.ttl_ms <= 0 || out.until_ms < 0 || tries < 0)
    return bad;
  out.holder = std::string{holder->get_string()};
  out.tries = static_cast<unsigned>(std::min<std::int64_t>(tries, 1'000'000));
  out.kept = kept->get_bool();
  return out;
}

wanted_timer timer_for(const lock_request& what, std::int64_t due_ms) {
  return {timer_of_lock(what.name), due_ms,
          json::serialize(json::object{{"holder", what.holder},
                                       {"ttl_ms", what.ttl_ms},
                                       {"until_ms", what.until_ms},
                                       {"tries", what.tries},
                                       {"kept", what.kept}})};
}

std::string stored_lock(std::string_view name) {
  return std::string{"lock/"} += name;
}

std::int64_t next_try(const lock_request& what, std::int64_t now_ms,
                      std::uint64_t random) noexcept {
  auto pause =
      std::min(first_pause_ms << std::min(what.tries, 10u), longest_pause_ms);
  pause += static_cast<std::int64_t>(random %
                                     static_cast<std::uint64_t>(pause / 2)) -
           pause / 4;
  return std::max(std::min(now_ms + pause, what.until_ms), now_ms + 1);
}

}  // namespace troupe::detail

namespace troupe {

void chat_base::lock(std::string_view name, std::chrono::milliseconds ttl,
                     std::chrono::milliseconds wait) {
  auto& turn = detail::turn_of(this, "lock");
  detail::check_name(name);
  if (ttl < detail::least_lock || ttl > detail::longest_lock)
    throw std::invalid_argument{"the ttl of lock \"" + std::string{name} +
                                "\" must be 10 s to a day"};
  if (wait.count() < 0 || wait > detail::longest_wait)
    throw std::invalid_argument{"the wait for lock \"" + std::string{name} +
                                "\" must be 0 to a week"};
  const auto now_ms = turn.scene.now_ms;
  detail::lock_request request;
  request.name = name;
  request.ttl_ms = ttl.count();
  request.until_ms = now_ms + wait.count();
  if (const auto* mine = detail::kept(turn, name)) {
    request.holder = mine->holder;
    request.kept = true;
  } else {
    // The same at each attempt at this event, and no other event's.
    request.holder = key_ + '/' + detail::hex(turn.scene.seed);
  }
  // Asked for in the turn of its own answer: another timer than that one.
  const auto& e = turn.event;
  const bool again = e.from == detail::turn_event::source::lock &&
                     e.name == name && e.accepted_ms >= now_ms;
  detail::put_timer(
      turn, detail::timer_for(request, again ? e.accepted_ms + 1 : now_ms));
}

void chat_base::keep(const locked& got) {
  auto& turn = detail::turn_of(this, "keep");
  const auto& e = turn.event;
  if (e.from != detail::turn_event::source::lock || e.token == 0 ||
      e.name != got.name || e.token != got.token)
    throw std::logic_error{"keep(\"" + got.name +
                           "\"): a lock can be kept in the turn of its "
                           "`locked` only"};
  const bool another = !std::ranges::any_of(
      turn.kept, [&](auto& l) { return l.name == got.name; });
  if (another && turn.kept.size() - turn.unlocked.size() >= detail::most_kept)
    throw std::length_error{"a chat keeps at most 16 locks"};
  turn.keeps_lock = true;
  std::erase(turn.unlocked, got.name);
}

void chat_base::unlock(std::string_view name) {
  auto& turn = detail::turn_of(this, "unlock");
  detail::check_name(name);
  detail::drop_timer(turn, detail::timer_of_lock(name));
  if (turn.event.from == detail::turn_event::source::lock &&
      turn.event.name == name)
    turn.keeps_lock = false;
  if (detail::kept(turn, name))
    turn.unlocked.emplace_back(name);
}

}  // namespace troupe
