#include "actors/turn_commit.hpp"

#include <algorithm>

#include "actors/lane.hpp"
#include "core/json.hpp"
#include "telegram/call.hpp"

namespace troupe::actors {

namespace {

const store::payload& no_body() {
  static const auto empty = store::make_payload("");
  return empty;
}

// A retried dead timer stands in the journal as JSON {"name", "body"}.
void read_dead_timer(detail::turn_event& event) {
  auto value = parse_json(*event.body);
  if (!value || !value->is_object())
    return;
  auto& object = value->as_object();
  if (auto name = object.if_contains("name"); name && name->is_string())
    event.name = std::string{name->as_string()};
  if (auto body = object.if_contains("body"); body && body->is_string())
    event.body = store::make_payload(std::string{body->as_string()});
}

}  // namespace

detail::turn_event event_of(const turn_subject& what) {
  using source = detail::turn_event::source;
  detail::turn_event event;
  if (what.fired) {
    event.from = source::timer;
    event.name = what.fired->name;
    event.body = what.fired->body.empty()
                     ? no_body()
                     : store::make_payload(what.fired->body);
    event.accepted_ms = to_ms(what.fired->due);
    return event;
  }
  auto& e = *what.entry;
  event.body = e.body ? e.body : no_body();
  event.accepted_ms = to_ms(e.accepted_at);
  switch (e.type) {
    case store::entry_kind::update: event.from = source::update; break;
    case store::entry_kind::notice: event.from = source::notice; break;
    case store::entry_kind::outcome: event.from = source::outcome; break;
    case store::entry_kind::call: event.from = source::outcome; break;
    case store::entry_kind::timer:
      event.from = source::timer;
      read_dead_timer(event);
      break;
  }
  return event;
}

std::uint64_t seed_of(const turn_subject& what) noexcept {
  auto h = stable_hash(what.key);
  if (what.fired)
    return h ^
           (static_cast<std::uint64_t>(to_ms(what.fired->due)) *
            0x9e3779b97f4a7c15ULL) ^
           static_cast<std::uint64_t>(stable_hash(what.fired->name));
  return h ^ (what.entry->seq.value * 0x9e3779b97f4a7c15ULL);
}

std::string identity_of(const turn_subject& what) {
  if (what.fired)
    return "timer/" + to_string(what.key) + '/' +
           std::to_string(to_ms(what.fired->due)) + '/' + what.fired->name;
  // A dead letter keeps its update's id when it is retried.
  if (what.entry->type == store::entry_kind::update)
    return "update/" + std::to_string(what.entry->id.value);
  return "entry/" + to_string(what.key) + '/' +
         std::to_string(what.entry->seq.value);
}

std::uint64_t event_number(const turn_subject& what) {
  // Below 0 are commands of our own (`start_campaign`): nobody posts them.
  if (!what.fired && what.entry->type == store::entry_kind::update &&
      what.entry->id.value >= 0)
    return event_number(what.entry->id);
  const auto named = static_cast<std::uint64_t>(stable_hash(identity_of(what)));
  return (named & (not_an_update - 1)) | not_an_update;
}

store::turn bare_commit(const turn_subject& what) {
  store::turn t;
  t.key = what.key;
  t.version = what.version;
  if (what.fired)
    t.fired = *what.fired;
  else
    t.seq = what.entry->seq;
  if (what.anew)
    t.state = t.mode = t.memo = "";
  return t;
}

namespace {

/// Leaves what goes to chats of other shards to them, in order.
void leave_to_others(std::uint16_t shards, shard_id mine, store::turn& t) {
  if (shards == 0)
    return;
  const auto elsewhere = [&](const store::call& c) {
    return shard_of(c.to, shards) != mine && c.target.empty() &&
           telegram::lane_of(c.method) == telegram::lane::chat;
  };
  std::vector<chat_key> ours;
  for (auto& c : t.calls)
    if (elsewhere(c) && !c.label.empty())
      ours.push_back(c.to);
  std::erase_if(t.calls, [&](const auto& c) {
    if (!elsewhere(c) || std::ranges::find(ours, c.to) != ours.end())
      return false;
    t.notices.push_back({c.to, dead_call(c), store::entry_kind::call});
    return true;
  });
}

/// The command that starts it. Its request is of this turn: however often that
/// is run, it asks for one campaign.
std::string start_of(const detail::wanted_broadcast& wanted,
                     const turn_subject& what, std::size_t i) {
  auto command = parse_json(wanted.command).value();
  auto& members = command.as_object();
  members["do"] = "start";
  members["request"] =
      to_string(what.key) + '/' +
      std::to_string(stable_hash(identity_of(what) + '#' + std::to_string(i)));
  return json::serialize(members);
}

}  // namespace

store::turn commit_of(const turn_subject& what, detail::turn_result& result,
                      ownership& owned, wall_time now,
                      std::uint16_t shared_shards) {
  auto t = bare_commit(what);
  auto accepted = what.fired ? now : what.entry->accepted_at;
  auto& wanted = result.wanted;
  const auto event = wanted.calls.empty() ? 0 : event_number(what);
  if (wanted.state)
    t.state = std::move(wanted.state);
  if (wanted.mode)
    t.mode = std::move(wanted.mode);
  if (wanted.memo)
    t.memo = std::move(wanted.memo);
  if (wanted.expires_ms)
    t.expires = from_ms(*wanted.expires_ms);
  t.calls.reserve(wanted.calls.size());
  for (auto& w : wanted.calls) {
    store::call c;
    c.id = owned.new_call();
    c.from = what.key;
    c.to = w.reply ? what.key : telegram::destination_of(w.body, what.key);
    c.method = std::move(w.method);
    c.body = store::make_payload(std::move(w.body));
    c.label = std::move(w.label);
    c.target = std::move(w.target);
    c.policy = w.at_most_once ? store::call_policy::at_most_once
                              : store::call_policy::resend;
    c.reply = w.reply;
    c.at = accepted;
    c.event = event;
    t.calls.push_back(std::move(c));
  }
  for (auto& w : wanted.timers)
    t.set.push_back(
        {what.key, std::move(w.name), from_ms(w.due_ms), std::move(w.body)});
  t.cancel = std::move(wanted.cancelled);
  for (auto& w : wanted.sql)  // their keys are still needed
    t.sql.push_back({std::move(w.text), std::move(w.params), w.must_change});
  for (auto& w : wanted.notices)
    t.notices.push_back(
        {chat_key::chat(w.chat), std::move(w.text), store::entry_kind::notice});
  for (std::size_t i = 0; i < wanted.broadcasts.size(); ++i)
    t.notices.push_back({chat_key::campaign(0),
                         start_of(wanted.broadcasts[i], what, i),
                         store::entry_kind::notice});
  leave_to_others(shared_shards, owned.held.shard, t);
  return t;
}

result<store::turn> commit_of_call(const turn_subject& what, ownership& owned,
                                   std::uint16_t shared_shards) {
  auto value = parse_json(*what.entry->body);
  auto object = value && value->is_object() ? &value->as_object() : nullptr;
  auto method = object ? object->if_contains("method") : nullptr;
  auto body = object ? object->if_contains("body") : nullptr;
  if (!method || !method->is_string() || !body || !body->is_object())
    return error{errc::corrupt, "a dead call without method and body"};
  detail::turn_result result;
  detail::wanted_call wanted;
  wanted.method = std::string{method->as_string()};
  wanted.body = json::serialize(*body);
  if (auto label = object->if_contains("label"); label && label->is_string())
    wanted.label = std::string{label->as_string()};
  auto once = object->if_contains("at_most_once");
  wanted.at_most_once = once && once->is_bool() && once->as_bool();
  result.wanted.calls.push_back(std::move(wanted));
  auto t =
      commit_of(what, result, owned, what.entry->accepted_at, shared_shards);
  if (auto of = object->if_contains("campaign"); of && of->is_int64()) {
    for (auto& c : t.calls) {
      c.bulk = true;
      c.campaign = static_cast<std::uint64_t>(of->as_int64());
    }
  }
  return t;
}

}  // namespace troupe::actors
