#include "actors/lane.hpp"

#include <algorithm>
#include <utility>

#include "core/json.hpp"

namespace troupe::actors {

namespace {

using store::call_outcome;
using telegram::verdict;

// From a permit to the first byte: never so little that a busy machine can't
// keep it, or nothing would ever leave.
constexpr milliseconds least_time_to_begin{250};
// What a permit must have left of that to be worth a try.
constexpr milliseconds time_to_connection{50};
// A campaign's call does not wait for ever in a chat that never rests (G9).
constexpr milliseconds longest_yield{60'000};

std::string edited_message(const store::call& c) {
  if (!c.target.empty())
    return "label:" + label_of(c.from, c.target);
  auto body = parse_json(c.body ? *c.body : "{}");
  if (!body || !body->is_object())
    return {};
  auto& object = body->as_object();
  for (auto name : {"message_id", "inline_message_id"})
    if (auto it = object.find(name); it != object.end())
      return json::serialize(it->value());
  return {};
}

}  // namespace

std::string label_of(const chat_key& from, const std::string& name) {
  return to_string(from) + ' ' + name;
}

lane::lane(options how)
    : how_{how}, window_{how.limit, how.period, how.margin} {}

void lane::inherit(mono_time at, const store::call& first) {
  const auto cost =
      telegram::cost_of(first.method, first.body ? *first.body : "{}");
  window_.spend(at, std::max<unsigned>(cost, 1));
  if (how_.settle_each)
    unsaved_ += std::max<unsigned>(cost, 1);
}

lane::item lane::make_item(store::call what, moment now) const {
  item x;
  x.kind = telegram::lane_of(what.method);
  if (x.kind == telegram::lane::chat)
    x.cost = telegram::cost_of(what.method, what.body ? *what.body : "{}");
  else
    x.cost = 0;
  if (telegram::is_edit(what.method))
    x.edits = edited_message(what);
  x.since = now.mono;
  x.call = std::move(what);
  return x;
}

void lane::push(store::call what, moment now, actions& out) {
  auto x = make_item(std::move(what), now);
  if (x.call.policy == store::call_policy::at_most_once && x.call.attempted) {
    // It may have left before a crash: its policy forbids a repeat.
    settle_item(x, call_outcome::unknown, nullptr, now, out, true);
    return;
  }
  if (x.kind == telegram::lane::immediate) {
    express_.push_back(std::move(x));
    advance_express(now, out);
    return;
  }
  if (!x.edits.empty())
    collapse(x, out);
  enqueue(std::move(x), now);
  advance(now, out);
}

/// True if an interactive call may go before it: nobody can have seen anything
/// of it yet, nor is its mark under way.
bool lane::yields(std::size_t i, moment now) const {
  const auto& x = queue_[i];
  const bool begun = i == 0 && step_ != step::idle && step_ != step::settling &&
                     step_ != step::fetching && step_ != step::wanting_permit;
  return x.call.bulk && !begun && x.attempts == 0 && !x.call.attempted &&
         now.mono - x.since < longest_yield;
}

void lane::enqueue(item x, moment now) {
  auto at = queue_.size();
  while (!x.call.bulk && at > 0 && yields(at - 1, now))
    --at;
  if (at >= loaded)
    x.call.body = nullptr;
  queue_.insert(queue_.begin() + static_cast<std::ptrdiff_t>(at), std::move(x));
  if (at < loaded && queue_.size() > loaded)
    queue_[loaded].call.body = nullptr;
  // Its own permit is still to come, and is for who then wants one like it.
  if (at == 0 && step_ == step::wanting_permit)
    step_ = step::idle;
}

void lane::collapse(const item& newer, actions& out) {
  // The head may be under way already; only what merely waits is replaced.
  std::size_t first = step_ == step::idle || step_ == step::settling ? 0 : 1;
  for (std::size_t i = queue_.size(); i-- > first;) {
    auto& x = queue_[i];
    // Edits before it are of the message that had this label before.
    if (x.edits.empty() && x.call.from == newer.call.from &&
        !x.call.label.empty() && x.call.label == newer.call.target)
      return;
    if (x.edits != newer.edits || x.call.method != newer.call.method ||
        x.call.policy == store::call_policy::at_most_once)
      continue;
    settle_item(x, call_outcome::collapsed, nullptr, {}, out, false);
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

void lane::advance(moment now, actions& out) {
  window_at_.reset();
  if ((stopped_ && !marked_) || queue_.empty())
    return;
  if (step_ != step::idle && step_ != step::permitted)
    return;
  if (now.mono < frozen_until()) {
    drop_permit(now, out);
    return;
  }
  if (!prepare_head(now, out))
    return;
  auto& head = queue_.front();
  ticket_ = window_.take(now.mono, head.cost);
  step_ = step::sending;
  ++head.attempts;
  auto body = head.call.body;
  if (moved_to_ != 0)
    body = store::make_payload(telegram::with_chat_id(*body, moved_to_));
  out.push_back(send{head.call.id, !head.call.label.empty(), head.call.method,
                     std::move(body), head.call.from, last_start(head, now),
                     head.of()});
}

/// The windows take a call without an answer to have arrived `margin` after
/// they let it go. One that waits longer for a connection, as all do in an
/// outage, would arrive on top of those that were let go since (G7).
mono_time lane::last_start(const item& head, moment now) const {
  if (head.cost == 0 || (window_.unlimited() && !has_permit_))
    return mono_time::max();
  return (has_permit_ ? permitted_at_ : now.mono) + time_to_begin();
}

/// The rest of the margin is for the way to Telegram.
milliseconds lane::time_to_begin() const {
  return std::max(how_.margin * 3 / 4, least_time_to_begin);
}

/// True if the head may leave now; otherwise what it waits for is under way,
/// or `wake` tells when to look again.
bool lane::prepare_head(moment now, actions& out) {
  auto& head = queue_.front();
  if (!head.call.body) {
    fetch wanted;
    std::size_t asked = 0;
    for (auto& x : queue_) {
      if (asked == loaded)
        break;
      if (x.call.body)
        continue;
      ++asked;
      x.asked = true;
      auto it = std::find_if(wanted.which.begin(), wanted.which.end(),
                             [&](auto& w) { return w.first == x.call.from; });
      if (it == wanted.which.end())
        it = wanted.which.insert(it, {x.call.from, {}});
      it->second.push_back(x.call.id);
    }
    step_ = step::fetching;
    out.push_back(std::move(wanted));
    return false;
  }
  if (!head.call.target.empty() && !resolve_head(head, out))
    return false;
  if (moved_to_ != 0 && head.call.campaign != 0 && !head.may_move) {
    step_ = step::resolving;
    out.push_back(resolve{chat_key::chat(moved_to_), {}});
    return false;
  }
  if (head.cost > 0 && !has_room(head, now, out))
    return false;
  // Marked last: what is marked and then held up, by a window or a restart,
  // would be given up as unknown without ever having left.
  const bool once = head.call.policy == store::call_policy::at_most_once;
  const bool to_save = head.cost > 0 && unsaved_ > 0;
  if ((once && !head.call.attempted) || to_save) {
    step_ = step::marking;
    settle_item(head, call_outcome::attempting, nullptr, now, out, false);
    return false;
  }
  return true;
}

bool lane::has_room(const item& head, moment now, actions& out) {
  if (now.mono - permitted_at_ > time_to_begin() - time_to_connection)
    drop_permit(now, out);
  if (auto at = window_.earliest(now.mono, head.cost); at > now.mono) {
    window_at_ = at;
    drop_permit(now, out);
    return false;
  }
  bool counted = how_.global && (how_.count_replies || !head.call.reply);
  if (counted && !has_permit_) {
    step_ = step::wanting_permit;
    if (head.call.bulk && std::exchange(bulk_asked_, true))
      return false;
    if (head.call.bulk)
      bulk_cost_ = head.cost;
    out.push_back(ask{head.cost, head.call.bulk});
    return false;
  }
  return true;
}

void lane::drop_permit(moment now, actions& out) {
  if (std::exchange(has_permit_, false))
    out.push_back(give_back{permit_, now.mono, false});
  step_ = step::idle;
}

bool lane::resolve_head(item& head, actions& out) {
  auto it = labels_.find(label_of(head.call.from, head.call.target));
  if (it == labels_.end()) {
    step_ = step::resolving;
    out.push_back(resolve{head.call.from, head.call.target});
    return false;
  }
  head.call.body = store::make_payload(
      telegram::with_message_id(*head.call.body, it->second));
  head.call.target.clear();
  return true;
}

void lane::permit(window::ticket which, mono_time granted, moment now,
                  actions& out, bool bulk) {
  if (bulk)
    bulk_asked_ = false;
  const bool awaited =
      step_ == step::wanting_permit && queue_.front().call.bulk == bulk;
  if (!awaited || (bulk && queue_.front().cost != bulk_cost_)) {
    out.push_back(give_back{which, now.mono, false});
    if (awaited) {
      step_ = step::idle;
      advance(now, out);
    }
    return;
  }
  permit_ = which;
  has_permit_ = true;
  permitted_at_ = granted;
  step_ = step::permitted;
  if (stopped_)
    drop_permit(now, out);
  advance(now, out);
}

void lane::marked(call_id which, moment now, actions& out) {
  if (step_ == step::settling && which == unsettled_) {
    step_ = step::idle;
    advance(now, out);
    return;
  }
  if (step_ != step::marking || queue_.empty() ||
      queue_.front().call.id != which)
    return;
  auto& head = queue_.front();
  head.call.attempted = true;
  unsaved_ = 0;
  step_ = step::idle;
  marked_ = head.call.policy == store::call_policy::at_most_once;
  advance(now, out);
  marked_ = false;
}

void lane::fetched(std::vector<store::call> found, moment now, actions& out) {
  if (step_ != step::fetching)
    return;
  step_ = step::idle;
  // Only of those asked for: others came without a body meanwhile.
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (!std::exchange(it->asked, false)) {
      ++it;
      continue;
    }
    auto match = std::find_if(found.begin(), found.end(), [&](auto& c) {
      return c.id == it->call.id && c.from == it->call.from;
    });
    if (match == found.end()) {
      it = queue_.erase(it);  // settled meanwhile
      out.push_back(forget{});
      continue;
    }
    it->call.body = match->body;
    if (it->kind == telegram::lane::chat)
      it->cost = telegram::cost_of(it->call.method, *it->call.body);
    ++it;
  }
  advance(now, out);
}

void lane::failed(moment now, actions& out) {
  if (step_ == step::fetching || step_ == step::resolving ||
      step_ == step::marking) {
    drop_permit(now, out);
    not_before_ = std::max(not_before_, now.mono + how_.retry_first);
  }
}

void lane::resolved(const std::string& label, std::int64_t message_id,
                    moment now, actions& out) {
  if (step_ != step::resolving || queue_.empty() ||
      queue_.front().call.target != label)
    return;
  step_ = step::idle;
  if (label.empty()) {
    move_resolved(message_id != 0, now, out);
    return;
  }
  if (message_id != 0) {
    auto& head = queue_.front();
    head.call.body = store::make_payload(
        telegram::with_message_id(*head.call.body, message_id));
    head.call.target.clear();
  } else {
    attempt_end end;
    telegram::answer answer;
    answer.what = verdict::too_late;  // a stale button, not a bug
    answer.code = 400;
    answer.description = "no message is known under the label '" + label + "'";
    end.what = std::move(answer);
    finish_head(call_outcome::failed, &end, now, out);
  }
  advance(now, out);
}

void lane::drop_from(const chat_key& from, moment now, actions& out) {
  std::size_t dropped = 0;
  const auto begun = step_ == step::idle || step_ == step::settling ? 0 : 1;
  if (!queue_.empty())
    dropped += std::size_t(
        queue_.end() -
        std::remove_if(queue_.begin() + begun, queue_.end(),
                       [&](const item& x) { return x.call.from == from; }));
  queue_.resize(queue_.size() - dropped);
  dropped += std::erase_if(express_, [&](const item& x) {
    return x.call.from == from && !x.flying;
  });
  std::erase_if(labels_, [&](const auto& known) {
    return known.first.starts_with(label_of(from, ""));
  });
  for (; dropped > 0; --dropped)
    out.push_back(forget{});
  advance(now, out);
}

/// Known under its new id, the group gets a copy of its own there.
void lane::move_resolved(bool known, moment now, actions& out) {
  if (known) {
    attempt_end end;
    telegram::answer answer;
    answer.what = verdict::migrated;
    answer.code = 400;
    answer.description = "the group has moved, and is known there";
    end.what = std::move(answer);
    finish_head(call_outcome::failed, &end, now, out);
  } else {
    queue_.front().may_move = true;
  }
  advance(now, out);
}

void lane::tick(moment now, actions& out) {
  advance(now, out);
  advance_express(now, out);
}

std::optional<mono_time> lane::wake() const {
  std::optional<mono_time> at;
  auto consider = [&](mono_time t) { at = at ? std::min(*at, t) : t; };
  if (!stopped_ && !queue_.empty() && step_ == step::idle)
    consider(std::max(frozen_until(), window_at_.value_or(mono_time{})));
  if (!stopped_)
    for (auto& x : express_)
      if (!x.flying)
        consider(std::max(x.not_before, frozen_));
  return at;
}

std::size_t lane::in_flight() const noexcept {
  auto express = std::count_if(express_.begin(), express_.end(),
                               [](auto& x) { return x.flying; });
  return std::size_t(express) + (step_ == step::sending ? 1 : 0);
}

mono_time lane::clear_at() const {
  if (!queue_.empty() || !express_.empty() || moved_to_ != 0)
    return mono_time::max();
  return std::max(frozen_until(), window_.clear_at());
}

std::string_view lane::waits_for() const noexcept {
  switch (step_) {
    case step::idle: return queue_.empty() ? "nothing" : "window";
    case step::fetching: return "store";
    case step::resolving: return "store";
    case step::marking: return "store";
    case step::settling: return "store";
    case step::wanting_permit: return "global budget";
    case step::permitted: return "nothing";
    case step::sending: return "telegram";
  }
  return "";
}

}  // namespace troupe::actors
