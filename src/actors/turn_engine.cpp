// One turn: from an event to what it wants.

#include "troupe/detail/engine.hpp"

#include <algorithm>
#include <caf/behavior.hpp>
#include <caf/detail/invoke_result_visitor.hpp>
#include <caf/make_message.hpp>
#include <cstdint>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "actors/turn_context.hpp"
#include "actors/turn_events.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "telegram/facts.hpp"
#include "telegram/update.hpp"

namespace troupe::detail {

namespace {

// The end of 9999: further than any date that people or stores can write.
constexpr std::int64_t never_ms = 253'402'300'799'000;

// Takes what a handler returns. `false` means "not mine", as from a table.
class verdict final : public caf::detail::invoke_result_visitor {
 public:
  using invoke_result_visitor::operator();
  void operator()() override {}
  void operator()(const caf::none_t&) override {}
  void operator()(caf::error& e) override {
    throw std::runtime_error{"a handler returned the error " +
                             caf::to_string(e)};
  }
  void operator()(caf::message& m) override {
    if (m.match_elements<bool>())
      passed_ = !m.get_as<bool>(0);
  }
  bool passed() const noexcept { return passed_; }

 private:
  bool passed_ = false;
};

// Offers events to a behaviour until one is taken.
class offers {
 public:
  explicit offers(behavior& to) : to_{to} {}

  template <class Event>
  bool operator()(Event&& e) {
    auto m = caf::make_message(std::forward<Event>(e));
    verdict v;
    switch (to_(v, m)) {
      case caf::match_case::match:
        if (!v.passed())
          return true;
        [[fallthrough]];
      case caf::match_case::skip: declined_ = true; return false;
      case caf::match_case::no_match: return false;
    }
    return false;
  }

  // A handler saw the event and declined it: it may have changed something.
  bool declined() const noexcept { return declined_; }

 private:
  behavior& to_;
  bool declined_ = false;
};

bool offer_message(offers& offer, const facts& f, const turn_event& what,
                   const turn_scene& scene, turn_result& result) {
  if (f.is_command && is_ours(f, scene.bot_username)) {
    result.kind = "command";
    if (offer(command_of(f, what)))
      return true;
  } else if (f.is_text) {
    result.kind = "text_message";
  }
  return f.is_text && offer(text_of(f, what));
}

bool offer_update(offers& offer, const facts& f, const turn_event& what,
                  const turn_scene& scene, turn_result& result) {
  using kind = telegram::update_kind;
  bool taken = false;
  result.kind = to_string(f.kind);
  switch (f.kind) {
    case kind::message:
      taken = offer_message(offer, f, what, scene, result);
      break;
    case kind::edited_message: taken = offer(edit_of(f, what)); break;
    case kind::callback_query: taken = offer(press_of(f, what)); break;
    case kind::my_chat_member: taken = offer(member_of(f, what)); break;
    case kind::inline_query: taken = offer(query_of(f, what)); break;
    default: break;
  }
  return taken || offer(raw_of(f, what));
}

bool offer_outcome(offers& offer, const turn_event& what, turn_result& result) {
  auto o = outcome_of(what);
  result.kind = o.ok ? "sent" : "failed";
  return o.ok ? offer(std::move(o.good)) : offer(std::move(o.bad));
}

bool offer_lock(offers& offer, const turn_event& what, turn_result& result) {
  result.kind = what.token != 0 ? "locked" : "lock_denied";
  return what.token != 0 ? offer(locked{what.name, what.token})
                         : offer(lock_denied{what.name});
}

std::uint64_t press_hash(const facts& f) {
  auto text = std::to_string(f.user_id) + ' ' + std::to_string(f.message_id) +
              ' ' + f.inline_message_id + ' ' + f.data;
  return static_cast<std::uint64_t>(stable_hash(text));
}

// Adds without overflow: a ttl may be as long as its type allows.
std::int64_t later(std::int64_t at_ms, std::chrono::milliseconds by) {
  return by.count() > never_ms - at_ms ? never_ms : at_ms + by.count();
}

}  // namespace

std::size_t plan::find(std::string_view name) const noexcept {
  if (name.empty())
    return 0;
  std::size_t n = 0;
  while (n < modes.size() && modes[n].name != name)
    ++n;
  return n;
}

// -- records ------------------------------------------------------------------

void engine::load(std::string_view state, std::string_view mode,
                  std::string_view memo, std::int64_t expires_ms) {
  auto n = shared().find(mode);
  if (n == shared().modes.size())
    throw std::runtime_error{"the chat is in mode \"" + std::string{mode} +
                             "\", which the bot does not have"};
  std::vector<press> presses;
  std::vector<kept_lock> locks;
  load_memo(memo, presses, locks);
  std::string last;
  std::unique_ptr<json::value> base;
  if (state.empty() || untouched().empty()) {
    renew();
    last = state;
  } else {
    auto v = parse_exact(state);
    bool unknown = false;
    read(v, unknown);
    if (unknown)
      base = std::make_unique<json::value>(std::move(v));
    dump(last, base);
  }
  last_ = std::move(last);
  if (extras_ || base || !presses.empty() || !locks.empty()) {
    more().unknown = std::move(base);
    more().presses = std::move(presses);
    more().locks = std::move(locks);
  }
  mode_ = static_cast<std::uint16_t>(n);
  expires_ms_ = expires_ms;
  torn_ = false;
}

// The state's JSON, with the members that only the record (`base`) knows;
// `base` is then what it came to.
void engine::dump(std::string& text, std::unique_ptr<json::value>& base) const {
  text.clear();
  write(text);
  if (!base)
    return;
  auto fresh = parse_exact(text);
  keep(fresh, *base);
  text.clear();
  write_value(text, fresh);
  base = std::make_unique<json::value>(std::move(fresh));
}

// After a throw: back to what was last committed.
void engine::restore() {
  torn_ = true;
  bool unknown = false;
  if (last_.empty() || untouched().empty())
    renew();
  else
    read(parse_exact(last_), unknown);
  torn_ = false;
}

engine::extras& engine::more() {
  if (!extras_)
    extras_ = std::make_unique<extras>();
  return *extras_;
}

behavior& engine::handlers() {
  if (mode_ > 0 && more().made.size() < mode_)
    more().made.resize(mode_);
  auto& made = mode_ > 0 ? more().made[mode_ - 1u] : first_;
  if (!made) {
    turn_scope none{nullptr};
    made = make(mode_);
    if (!made)
      throw std::logic_error{"the function of mode \"" +
                             shared().modes[mode_].name +
                             "\" returned an empty behaviour"};
  }
  return made;
}

// -- the turn -----------------------------------------------------------------

turn_result engine::run(const turn_event& what, const turn_scene& scene) {
  turn_result result;
  // What a turn changes besides the state, for the way back.
  auto presses = extras_ ? extras_->presses : std::vector<press>{};
  auto locks = extras_ ? extras_->locks : std::vector<kept_lock>{};
  auto mode = mode_;
  auto expires = expires_ms_;
  auto fail = [&](std::string why) {
    result.how = turn_result::end::threw;
    result.error = std::move(why);
    result.wanted = {};
    if (extras_) {
      extras_->presses = std::move(presses);
      extras_->locks = std::move(locks);
    }
    mode_ = mode;
    expires_ms_ = expires;
    try {
      restore();
    } catch (const std::exception& e) {
      result.error += "; and the state could not be restored: ";
      result.error += e.what();
    }
  };
  try {
    if (torn_)
      restore();
    attempt(what, scene, result);
  } catch (const std::exception& e) {
    fail(e.what());
  } catch (...) {
    fail("a handler threw something that is no std::exception");
  }
  return result;
}

void engine::attempt(const turn_event& what, const turn_scene& scene,
                     turn_result& result) {
  turn_context turn{chat(), shared(), what, scene};
  if (extras_)
    turn.kept = extras_->locks;
  auto mode = mode_;
  expire(turn);
  dispatch(turn, result);
  if (result.how != turn_result::end::done) {
    mode_ = mode;
    return;
  }
  finish(turn, result.wanted);
  finish_locks(turn, result.wanted);
  auto next =
      turn.next_mode ? static_cast<std::uint16_t>(*turn.next_mode) : mode_;
  // After an expiry the store may have cleared it, or not yet.
  if (turn.cleared || next != mode)
    result.wanted.mode = shared().modes[next].name;
  mode_ = next;
  finish_expiry(scene, result.wanted);
}

// The store sweeps what nobody touches; a chat that is alive does it itself.
void engine::expire(turn_context& turn) {
  if (expires_ms_ == 0 || turn.scene.now_ms < expires_ms_)
    return;
  renew();
  turn.cleared = true;
  mode_ = 0;
}

void engine::dispatch(turn_context& turn, turn_result& result) {
  const auto& what = turn.event;
  using source = turn_event::source;
  facts f;
  if (what.from == source::update) {
    auto read = telegram::read_facts(*what.body);
    if (!read)
      throw std::runtime_error{"a bad update: " + to_string(read.error())};
    f = std::move(*read);
    result.kind = to_string(f.kind);
    note_audience(f, result);
    auto life = telegram::useful_life(f.kind);
    if (life && turn.scene.now_ms - what.accepted_ms > life->count()) {
      result.how = turn_result::end::stale;
      return;
    }
    if (f.kind == telegram::update_kind::callback_query &&
        repeated(what, press_hash(f), result))
      return;
  }
  auto& to = handlers();
  turn_scope scope{&turn};
  offers offer{to};
  bool taken = false;
  switch (what.from) {
    case source::update:
      taken = offer_update(offer, f, what, turn.scene, result);
      break;
    case source::timer:
      result.kind = "timer";
      taken = offer(timer_of(what));
      break;
    case source::notice:
      result.kind = "notice";
      taken = offer(notice_of(what));
      break;
    case source::outcome: taken = offer_outcome(offer, what, result); break;
    case source::lock: taken = offer_lock(offer, what, result); break;
  }
  if (taken)
    return;
  result.how = turn_result::end::unhandled;
  if (offer.declined() && !untouched().empty())
    restore();
}

void engine::finish(turn_context& turn, effects& wanted) {
  wanted.calls.reserve(turn.calls.size());
  for (auto& d : turn.calls)
    wanted.calls.push_back(finished(std::move(d), turn.chat, turn.event));
  wanted.timers = std::move(turn.timers);
  wanted.cancelled = std::move(turn.cancelled);
  wanted.notices = std::move(turn.notices);
  wanted.broadcasts = std::move(turn.broadcasts);
  wanted.once = std::move(turn.once);
  std::erase_if(turn.sql, [](const auto& s) { return s.skipped; });
  wanted.sql = std::move(turn.sql);
  wanted.tagged = std::move(turn.tagged);
  wanted.untagged = std::move(turn.untagged);
  finish_state(turn.cleared, wanted);
}

void engine::finish_state(bool cleared, effects& wanted) {
  if (untouched().empty()) {
    if (cleared && !last_.empty()) {
      wanted.state = "";
      last_.clear();
    }
    return;
  }
  thread_local std::string text;
  std::unique_ptr<json::value> base;
  if (extras_ && extras_->unknown && !cleared)
    base = std::make_unique<json::value>(*extras_->unknown);
  dump(text, base);
  // Without a record, and after clear(), an untouched state is none.
  if ((last_.empty() || cleared) && text == untouched()) {
    if (!last_.empty())
      wanted.state = "";
    last_.clear();
  } else if (cleared || text != last_) {
    check_depth(text);
    wanted.state = text;
    last_ = text;
    last_.shrink_to_fit();
  }
  if (extras_)
    extras_->unknown = std::move(base);
}

void engine::finish_expiry(const turn_scene& scene, effects& wanted) {
  const auto& all = shared();
  auto ttl = all.modes[mode_].ttl ? all.modes[mode_].ttl : all.ttl;
  auto other = std::ranges::any_of(all.modes, [](auto& m) { return !!m.ttl; });
  if (ttl)
    wanted.expires_ms = later(scene.now_ms, *ttl);
  else if (other)
    wanted.expires_ms = never_ms;  // lifts what another mode set
  expires_ms_ = ttl ? *wanted.expires_ms : 0;
}

}  // namespace troupe::detail
