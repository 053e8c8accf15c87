#include "actors/lane.hpp"

#include <algorithm>

#include "core/json.hpp"

namespace troupe::actors {

namespace {

using store::call_outcome;
using telegram::verdict;

// A query's answer is worthless after this: TELEGRAM.md 75, 23.
constexpr milliseconds query_life{30'000};
// After 409 another instance runs; after 401 a person must act.
constexpr milliseconds conflict_pause{3'000};
constexpr milliseconds bad_token_pause{30'000};
// Telegram counts retry_after in whole seconds from its answer.
constexpr milliseconds retry_guard{50};
// Labels of recent sends kept for edits that follow; the rest is looked up.
constexpr std::size_t known_labels = 32;

std::string edited_message(const store::call& c) {
  if (!c.target.empty())
    return "label:" + c.target;
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

std::string outcome_event(const store::call& what, call_outcome how,
                          const attempt_end* end) {
  std::string out = "{\"label\":";
  append_json_string(out, what.label);
  out += ",\"method\":";
  append_json_string(out, what.method);
  bool ok = how == call_outcome::sent || how == call_outcome::collapsed;
  out += ok ? ",\"ok\":true" : ",\"ok\":false";
  if (how == call_outcome::collapsed)
    out += ",\"collapsed\":true";
  if (ok) {
    if (end && !end->result.empty())
      out += ",\"result\":" + end->result;
    return out + "}";
  }
  out += how == call_outcome::unknown ? ",\"unknown\":true"
                                      : ",\"unknown\":false";
  int code = 0;
  std::string text = "no answer";
  if (end) {
    if (auto answer = std::get_if<telegram::answer>(&end->what)) {
      code = answer->code;
      text = answer->description;
    } else {
      text = to_string(std::get<http::failure>(end->what).what);
    }
  }
  out += ",\"code\":" + std::to_string(code) + ",\"description\":";
  append_json_string(out, text);
  return out + "}";
}

std::string dead_call(const store::call& what) {
  std::string out = "{\"method\":";
  append_json_string(out, what.method);
  out += ",\"body\":" + *what.body + ",\"label\":";
  append_json_string(out, what.label);
  return out + "}";
}

lane::lane(options how)
    : how_{how}, window_{how.limit, how.period, how.margin} {}

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
  if (queue_.size() >= loaded)
    x.call.body = nullptr;
  queue_.push_back(std::move(x));
  advance(now, out);
}

void lane::collapse(const item& newer, actions& out) {
  // The head may be under way already; only what merely waits is replaced.
  std::size_t first = step_ == step::idle ? 0 : 1;
  for (std::size_t i = first; i < queue_.size(); ++i) {
    auto& x = queue_[i];
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
  if (stopped_ || queue_.empty() || now.mono < not_before_)
    return;
  if (step_ != step::idle && step_ != step::permitted)
    return;
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
                     std::move(body), head.call.from});
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
  if (head.call.policy == store::call_policy::at_most_once &&
      !head.call.attempted) {
    step_ = step::marking;
    settle_item(head, call_outcome::attempting, nullptr, now, out, false);
    return false;
  }
  if (head.cost == 0)
    return true;
  if (auto at = window_.earliest(now.mono, head.cost); at > now.mono) {
    window_at_ = at;
    return false;
  }
  bool counted = how_.global && (how_.count_replies || !head.call.reply);
  if (counted && !has_permit_) {
    step_ = step::wanting_permit;
    out.push_back(ask{head.cost, head.call.bulk});
    return false;
  }
  return true;
}

bool lane::resolve_head(item& head, actions& out) {
  auto it = labels_.find(head.call.target);
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

void lane::permit(window::ticket which, moment now, actions& out) {
  if (step_ != step::wanting_permit) {
    out.push_back(give_back{which, now.mono, false});
    return;
  }
  permit_ = which;
  has_permit_ = true;
  step_ = step::permitted;
  if (stopped_ || now.mono < not_before_) {
    out.push_back(give_back{which, now.mono, false});
    has_permit_ = false;
    step_ = step::idle;
    return;
  }
  advance(now, out);
}

void lane::marked(call_id which, moment now, actions& out) {
  if (step_ != step::marking || queue_.empty() ||
      queue_.front().call.id != which)
    return;
  queue_.front().call.attempted = true;
  step_ = step::idle;
  advance(now, out);
}

void lane::fetched(std::vector<store::call> found, moment now, actions& out) {
  if (step_ != step::fetching)
    return;
  step_ = step::idle;
  std::size_t asked = loaded;
  for (auto it = queue_.begin(); it != queue_.end() && asked > 0;) {
    if (it->call.body) {
      ++it;
      continue;
    }
    --asked;
    auto match = std::find_if(found.begin(), found.end(), [&](auto& c) {
      return c.id == it->call.id && c.from == it->call.from;
    });
    if (match == found.end()) {
      it = queue_.erase(it);  // settled meanwhile: nothing to do
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
  (void)out;
  if (step_ == step::fetching || step_ == step::resolving ||
      step_ == step::marking) {
    step_ = step::idle;
    not_before_ = std::max(not_before_, now.mono + how_.retry_first);
  }
}

void lane::resolved(const std::string& label, std::int64_t message_id,
                    moment now, actions& out) {
  if (step_ != step::resolving || queue_.empty() ||
      queue_.front().call.target != label)
    return;
  step_ = step::idle;
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

void lane::tick(moment now, actions& out) {
  advance(now, out);
  advance_express(now, out);
}

std::optional<mono_time> lane::wake() const {
  std::optional<mono_time> at;
  auto consider = [&](mono_time t) { at = at ? std::min(*at, t) : t; };
  if (!stopped_ && !queue_.empty() && step_ == step::idle)
    consider(std::max(not_before_, window_at_.value_or(mono_time{})));
  if (!stopped_)
    for (auto& x : express_)
      if (!x.flying)
        consider(x.not_before);
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
  return std::max(not_before_, window_.clear_at());
}

std::string_view lane::waits_for() const noexcept {
  switch (step_) {
    case step::idle: return queue_.empty() ? "nothing" : "window";
    case step::fetching: return "store";
    case step::resolving: return "store";
    case step::marking: return "store";
    case step::wanting_permit: return "global budget";
    case step::permitted: return "nothing";
    case step::sending: return "telegram";
  }
  return "";
}

// -- outcomes -----------------------------------------------------------------

void lane::answered(call_id which, chat_key from, attempt_end end, moment now,
                    actions& out) {
  for (std::size_t i = 0; i < express_.size(); ++i) {
    auto& x = express_[i];
    if (x.call.id == which && x.call.from == from && x.flying) {
      express_ended(i, end, now, out);
      return;
    }
  }
  if (step_ != step::sending || queue_.empty() ||
      queue_.front().call.id != which || queue_.front().call.from != from)
    return;
  step_ = step::idle;
  auto failure = std::get_if<http::failure>(&end.what);
  bool arrived = !failure || failure->maybe_sent;
  window_.answered(ticket_, now.mono, arrived);
  if (has_permit_)
    out.push_back(give_back{permit_, now.mono, arrived});
  has_permit_ = false;
  head_ended(end, now, out);
  advance(now, out);
}

void lane::head_ended(attempt_end& end, moment now, actions& out) {
  auto& head = queue_.front();
  if (auto failure = std::get_if<http::failure>(&end.what)) {
    if (failure->maybe_sent &&
        head.call.policy == store::call_policy::at_most_once) {
      finish_head(call_outcome::unknown, &end, now, out);
      return;
    }
    not_before_ = now.mono + backoff(head.attempts);
    return;
  }
  auto& answer = std::get<telegram::answer>(end.what);
  switch (answer.what) {
    case verdict::sent:
    case verdict::not_modified:
      finish_head(call_outcome::sent, &end, now, out);
      return;
    case verdict::retry_after:
      window_.slow_down(now.mono);
      not_before_ = now.mono + answer.retry_after + retry_guard;
      out.push_back(flood{answer.retry_after + retry_guard});
      return;
    case verdict::try_again:
      if (head.call.policy == store::call_policy::at_most_once)
        finish_head(call_outcome::unknown, &end, now, out);
      else
        not_before_ = now.mono + backoff(head.attempts);
      return;
    case verdict::chat_gone:
      finish_head(call_outcome::failed, &end, now, out);
      drop_all(answer, now, out);
      return;
    case verdict::migrated:
      moved_to_ = answer.migrate_to;
      not_before_ = now.mono + backoff(head.attempts - 1);
      out.push_back(report{"chat_migrated", std::to_string(moved_to_)});
      return;
    case verdict::conflict:
      not_before_ = now.mono + std::max(conflict_pause, backoff(head.attempts));
      return;
    case verdict::bad_token:
      not_before_ = now.mono + bad_token_pause;
      out.push_back(report{"bad_token", answer.description});
      return;
    case verdict::too_late:
    case verdict::refused:
      finish_head(call_outcome::failed, &end, now, out);
      return;
  }
}

void lane::express_ended(std::size_t i, attempt_end& end, moment now,
                         actions& out) {
  auto& x = express_[i];
  x.flying = false;
  auto outcome = call_outcome::failed;
  bool again = false;
  if (auto failure = std::get_if<http::failure>(&end.what)) {
    again = !failure->maybe_sent ||
            x.call.policy != store::call_policy::at_most_once;
    outcome = failure->maybe_sent ? call_outcome::unknown
                                  : call_outcome::failed;
    x.not_before = now.mono + backoff(x.attempts);
  } else {
    auto& answer = std::get<telegram::answer>(end.what);
    switch (answer.what) {
      case verdict::sent:
      case verdict::not_modified:
        outcome = call_outcome::sent;
        break;
      case verdict::retry_after:
        again = true;
        x.not_before = now.mono + answer.retry_after + retry_guard;
        break;
      case verdict::try_again:
        again = x.call.policy != store::call_policy::at_most_once;
        outcome = call_outcome::unknown;
        x.not_before = now.mono + backoff(x.attempts);
        break;
      case verdict::conflict:
      case verdict::bad_token:
        again = true;
        x.not_before = now.mono + conflict_pause;
        break;
      default:
        break;
    }
  }
  if (again && x.not_before - x.since < query_life) {
    advance_express(now, out);
    return;
  }
  settle_item(x, outcome, &end, now, out, true);
  express_.erase(express_.begin() + static_cast<std::ptrdiff_t>(i));
}

void lane::advance_express(moment now, actions& out) {
  if (stopped_)
    return;
  for (auto& x : express_) {
    if (x.flying || now.mono < x.not_before)
      continue;
    x.flying = true;
    ++x.attempts;
    out.push_back(send{x.call.id, !x.call.label.empty(), x.call.method,
                       x.call.body, x.call.from});
  }
}

void lane::finish_head(call_outcome how, const attempt_end* end, moment now,
                       actions& out) {
  auto head = std::move(queue_.front());
  queue_.pop_front();
  not_before_ = mono_time{};
  if (how == call_outcome::sent && !head.call.label.empty() && end) {
    if (auto answer = std::get_if<telegram::answer>(&end->what);
        answer && answer->message_id != 0) {
      if (labels_.size() >= known_labels)
        labels_.clear();
      labels_[head.call.label] = answer->message_id;
    }
  }
  settle_item(head, how, end, now, out, head.attempts > 0);
}

void lane::settle_item(const item& what, call_outcome how,
                       const attempt_end* end, moment now, actions& out,
                       bool left) const {
  store::settlement s;
  s.id = what.call.id;
  s.outcome = how;
  s.from = what.call.from;
  s.to = what.call.to;
  s.label = what.call.label;
  if (how == call_outcome::attempting) {
    out.push_back(settle{std::move(s), what.call.at, false});
    return;
  }
  if (left) {
    s.spent_at = now.wall;
    s.spent = what.cost;
  }
  const telegram::answer* answer =
      end ? std::get_if<telegram::answer>(&end->what) : nullptr;
  if (answer) {
    s.message_id = answer->message_id;
    if (answer->what == verdict::chat_gone)
      s.audience = store::audience_change{
          what.call.to,
          answer->blocked_for_good ? store::audience_status::gone
                                   : store::audience_status::blocked,
          {}};
  }
  if (!what.call.label.empty())
    s.event = store::make_payload(outcome_event(what.call, how, end));
  // A call that Telegram calls wrong is a bug of the bot, or of us: a person
  // must see it. A labelled one goes back to the behaviour instead.
  else if (answer && answer->what == verdict::refused && what.call.body)
    s.dead_body = store::make_payload(dead_call(what.call));
  if (s.dead_body)
    s.dead = std::to_string(answer->code) + " " + answer->description;
  out.push_back(settle{std::move(s), what.call.at, what.call.reply});
}

void lane::drop_all(const telegram::answer& why, moment now, actions& out) {
  attempt_end end;
  end.what = why;
  while (!queue_.empty()) {
    settle_item(queue_.front(), call_outcome::failed, &end, now, out, false);
    queue_.pop_front();
  }
}

milliseconds lane::backoff(unsigned attempts) const {
  auto shift = std::min(attempts == 0 ? 0u : attempts - 1, 16u);
  auto wait = how_.retry_first * (std::int64_t{1} << shift);
  return std::min(wait, how_.retry_max);
}

}  // namespace troupe::actors
