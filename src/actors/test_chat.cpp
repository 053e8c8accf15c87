// What happens to the chat of a test, and what becomes of it.

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "actors/turn_locks.hpp"
#include "core/json.hpp"
#include "store/kept.hpp"
#include "telegram/call.hpp"
#include "troupe/detail/json_text.hpp"
#include "troupe/detail/test_bench.hpp"

namespace troupe::detail {

namespace {

constexpr int most_turns = 10'000;

// As long as in the engine: two equal presses within it are one.
constexpr std::int64_t press_pause_ms = 2'000;

std::string text_of(const json::value& v) {
  std::string out;
  write_value(out, v);
  return out;
}

json::object body_of(const wanted_call& call) {
  auto v = parse_exact(call.body);
  return std::move(v.as_object());
}

bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

// Length of the command at the start of a text, with '/' and '@bot'; 0: none.
std::size_t command_length(std::string_view text) {
  std::size_t n = 1;
  auto skip = [&] {
    auto from = n;
    while (n < text.size() && letter(text[n]))
      ++n;
    return n > from;
  };
  if (!text.starts_with('/') || !skip())
    return 0;
  auto name = n;
  if (n < text.size() && text[n++] == '@' && skip())
    return n;
  return name;
}

const char* ending(turn_result::end how) {
  switch (how) {
    case turn_result::end::done: return "done";
    case turn_result::end::unhandled: return "unhandled";
    case turn_result::end::stale: return "stale";
    case turn_result::end::repeated: return "repeated";
    case turn_result::end::threw: return "threw";
  }
  return "unknown";
}

void append_buttons(std::string& line, const json::object& body) {
  const auto* markup = body.if_contains("reply_markup");
  const auto* rows = markup && markup->is_object()
                         ? markup->get_object().if_contains("inline_keyboard")
                         : nullptr;
  if (!rows || !rows->is_array())
    return;
  line += ' ';
  for (const auto& row : rows->get_array())
    for (const auto& b : row.as_array())
      line += '[' + std::string{b.as_object().at("text").as_string()} + ']';
}

std::string line_of(const wanted_call& call, json::object body, bool own) {
  auto line = call.method;
  if (!call.target.empty())
    line += '(' + call.target + ')';
  if (const auto* chat = body.if_contains("chat_id"); chat && !own)
    line += " to " + text_of(*chat);
  const auto* text = body.if_contains("text");
  if (!text)
    text = body.if_contains("caption");
  if (text && text->is_string()) {
    line += ": " + std::string{text->get_string()};
    append_buttons(line, body);
    return line;
  }
  body.erase("chat_id");
  body.erase("callback_query_id");
  return body.empty() ? line : line + ": " + text_of(body);
}

}  // namespace

test_bench::test_bench(std::int64_t chat, spawner spawn)
    : chat_{chat}, spawn_{std::move(spawn)}, live_{spawn_()} {
  speaker.id = chat > 0 ? chat : 1;
  speaker.first_name = "Ann";
  speaker.language = "en";
  live_->load("", "", "", 0);
}

// -- people -------------------------------------------------------------------

void test_bench::text(std::string_view text) {
  auto message = message_json(next_message_++);
  message.as_object()["text"] = json::string_view{text};
  message.as_object()["from"] = person_json();
  if (auto n = command_length(text))
    message.as_object()["entities"] =
        json::array{{{"type", "bot_command"}, {"offset", 0}, {"length", n}}};
  update(text_of(json::object{{"message", std::move(message)}}), {});
}

void test_bench::press(std::string_view button) {
  std::string there;
  for (auto k = keyboards_.rbegin(); k != keyboards_.rend(); ++k)
    for (const auto& row : k->second.as_array())
      for (const auto& b : row.as_array()) {
        const auto& o = b.as_object();
        std::string_view text = o.at("text").as_string();
        there += " [" + std::string{text} + ']';
        const auto* data = o.if_contains("callback_data");
        if (!data)
          continue;
        std::string_view known = data->as_string();
        if (text != button && known != button)
          continue;
        pressed p{k->first, std::string{known}, now_ms_};
        if (last_press_ && last_press_->message == p.message &&
            last_press_->data == p.data &&
            now_ms_ - last_press_->at_ms < press_pause_ms) {
          advance(std::chrono::milliseconds{press_pause_ms - now_ms_ +
                                            last_press_->at_ms});
          p.at_ms = now_ms_;
        }
        last_press_ = p;
        send_press(p);
        return;
      }
  throw std::logic_error{"no button \"" + std::string{button} +
                         "\" to press, but" +
                         (there.empty() ? " none at all" : there)};
}

void test_bench::press_again() {
  if (!last_press_)
    throw std::logic_error{"nothing was pressed yet"};
  send_press(*last_press_);
}

void test_bench::send_press(const pressed& what) {
  json::object query{{"id", "q" + std::to_string(next_update_)},
                     {"from", person_json()},
                     {"message", message_json(what.message)},
                     {"chat_instance", "1"},
                     {"data", what.data}};
  update(text_of(json::object{{"callback_query", std::move(query)}}), {});
}

void test_bench::notice(std::string_view text, std::string_view from) {
  turn_event e;
  e.from = turn_event::source::notice;
  e.body = std::make_shared<const std::string>(text_of(json::object{
      {"from", json::string_view{from}}, {"text", json::string_view{text}}}));
  accept(std::move(e));
  settle_down();
}

void test_bench::update(std::string_view text,
                        std::chrono::milliseconds waited) {
  auto v = parse_exact(text);
  if (!v.is_object())
    throw std::logic_error{"an update is a JSON object"};
  turn_event e;
  if (v.get_object().contains("update_id")) {
    e.body = std::make_shared<const std::string>(text);
  } else {
    json::object whole{{"update_id", next_update_++}};
    for (auto& [name, member] : v.get_object())
      whole.emplace(name, std::move(member));
    e.body = std::make_shared<const std::string>(text_of(whole));
  }
  accept(std::move(e));
  journal_.back().accepted_ms -= waited.count();
  settle_down();
}

json::value test_bench::message_json(std::int64_t id) const {
  return json::object{
      {"message_id", id}, {"date", now_ms_ / 1000}, {"chat", chat_json()}};
}

json::value test_bench::chat_json() const {
  const char* type = "private";
  if (chat_ < 0)
    type = chat_ > -1'000'000'000'000 ? "group" : "supergroup";
  return json::object{{"id", chat_}, {"type", type}};
}

json::value test_bench::person_json() const {
  json::object p{{"id", speaker.id},
                 {"is_bot", speaker.is_bot},
                 {"first_name", speaker.first_name}};
  if (!speaker.last_name.empty())
    p["last_name"] = speaker.last_name;
  if (!speaker.username.empty())
    p["username"] = speaker.username;
  if (!speaker.language.empty())
    p["language_code"] = speaker.language;
  return p;
}

// -- fate ---------------------------------------------------------------------

void test_bench::advance(std::chrono::milliseconds by) {
  if (by.count() < 0)
    throw std::logic_error{"time does not go back"};
  auto until = now_ms_ + by.count();
  for (int n = 0;; ++n) {
    auto next = std::ranges::min_element(
        timers, {}, [](const auto& t) { return t.second; });
    if (next == timers.end() || next->second > until)
      break;
    if (n == most_turns)
      throw std::runtime_error{"over 10000 timers fired in one advance"};
    now_ms_ = std::max(now_ms_, next->second);
    fire(std::string{next->first});
  }
  now_ms_ = until;
}

turn_event test_bench::take_timer(const std::string& name) {
  turn_event e;
  e.from = turn_event::source::timer;
  e.name = name;
  e.body = std::make_shared<const std::string>(timer_bodies_[name]);
  timers.erase(name);
  timer_bodies_.erase(name);
  return e;
}

void test_bench::fire(const std::string& name) {
  auto e = take_timer(name);
  if (asks_for_lock(e))
    fire_lock(std::move(e));
  else
    accept(std::move(e));
  settle_down();
}

void test_bench::restart() {
  if (expires_ms_ && *expires_ms_ <= now_ms_) {
    state_ = mode_ = memo_ = "";
    labels_.clear();
    expires_ms_.reset();
  }
  live_ = spawn_();
  load();
}

void test_bench::refuse_next(int code, std::string description) {
  faults_.push_back({false, code, std::move(description)});
}

void test_bench::lose_next() {
  faults_.push_back({true, 0, {}});
}

std::chrono::sys_time<std::chrono::milliseconds> test_bench::now()
    const noexcept {
  return std::chrono::sys_time<std::chrono::milliseconds>{
      std::chrono::milliseconds{now_ms_}};
}

std::string test_bench::stored(std::string_view what) const {
  return what == "state" ? state_ : mode_;
}

// -- the runtime --------------------------------------------------------------

void test_bench::accept(turn_event event) {
  event.accepted_ms = now_ms_;
  journal_.push_back(std::move(event));
}

void test_bench::settle_down() {
  for (int n = 0; !journal_.empty(); ++n) {
    if (n == most_turns)
      throw std::runtime_error{
          "the chat never comes to rest: every event "
          "makes another"};
    auto event = std::move(journal_.front());
    journal_.pop_front();
    turn(event);
    if (journal_.empty())
      fire_due_locks();
  }
}

void test_bench::turn(const turn_event& event) {
  const auto me = std::to_string(chat_) + '/' + std::to_string(seed_);
  std::vector<std::string> taken, unchanged;
  turn_scene scene{now_ms_, seed_++, username, {}, {}, true, me};
  turn_result result;
  for (unsigned n = 0; n < attempts;) {
    scene.taken = taken;
    scene.unchanged = unchanged;
    result = live_->run(event, scene);
    if (result.how == turn_result::end::threw) {
      ++n;
      continue;
    }
    try {
      if (reserve(result.wanted, me, taken) &&
          execute(result.wanted, unchanged))
        break;
    } catch (const std::exception& e) {
      ++n;
      result.how = turn_result::end::threw;
      result.error = e.what();
    }
    load();
    if (taken.size() > most_once || unchanged.size() > most_sql) {
      result.how = turn_result::end::threw;
      result.error =
          taken.size() > most_once
              ? "the turn asks for over 64 keys of once that others have"
              : "over 64 statements of the turn changed nothing where they "
                "should";
      break;
    }
  }
  turns.push_back(result.kind + ' ' + ending(result.how));
  release_locks(event, result);
  if (result.how == turn_result::end::threw)
    dead_letters.push_back(result.error);
  else
    commit(std::move(result.wanted));
}

void test_bench::load() {
  live_->load(state_, mode_, memo_, expires_ms_.value_or(0));
}

void test_bench::commit(effects&& wanted) {
  if (wanted.state)
    state_ = *wanted.state;
  if (wanted.mode)
    mode_ = *wanted.mode;
  if (wanted.memo)
    memo_ = *wanted.memo;
  if (wanted.expires_ms)
    expires_ms_ = wanted.expires_ms;
  for (const auto& tag : wanted.untagged)
    tags.erase(tag);
  for (auto& tag : wanted.tagged)
    if (tags.size() < store::most_tags)
      tags.insert(std::move(tag));
  for (const auto& name : wanted.cancelled) {
    timers.erase(name);
    timer_bodies_.erase(name);
  }
  for (auto& t : wanted.timers) {
    timers[t.name] = t.due_ms;
    timer_bodies_[t.name] = std::move(t.body);
  }
  for (const auto& n : wanted.notices) {
    notices.push_back(std::to_string(n.chat) + ": " + n.text);
    if (n.chat != chat_)
      continue;
    turn_event e;
    e.from = turn_event::source::notice;
    e.body = std::make_shared<const std::string>(text_of(
        json::object{{"from", std::to_string(chat_)}, {"text", n.text}}));
    accept(std::move(e));
  }
  for (const auto& b : wanted.broadcasts)
    broadcasts.push_back(parse_exact(b.command));
  for (const auto& call : wanted.calls)
    settle(call);
}

void test_bench::settle(const wanted_call& call) {
  auto body = body_of(call);
  std::int64_t message = 0;
  auto wrong = fault_of(call, message);
  if (!wrong)
    remember(call, body, message);
  report(call, body, wrong, message);
  auto line = line_of(call, body, own_chat(body));
  if (wrong)
    line += wrong->unknown ? " -> unknown"
                           : " -> " + std::to_string(wrong->code) + ' ' +
                                 wrong->description;
  sent.push_back(std::move(line));
  json::object o{{"method", call.method}, {"parameters", std::move(body)}};
  if (!call.label.empty())
    o["label"] = call.label;
  if (!call.target.empty())
    o["target"] = call.target;
  if (call.at_most_once)
    o["at_most_once"] = true;
  if (call.reply)
    o["reply"] = true;
  calls.push_back(std::move(o));
}

// What goes wrong with a call, or the message it sends or edits.
std::optional<test_bench::fault> test_bench::fault_of(const wanted_call& call,
                                                      std::int64_t& message) {
  if (!call.target.empty()) {
    auto known = labels_.find(call.target);
    if (known == labels_.end())
      return fault{false, 400, "Bad Request: message to edit not found"};
    message = known->second;
  } else if (telegram::lane_of(call.method) == telegram::lane::chat &&
             !telegram::is_edit(call.method)) {
    message = next_message_++;
  }
  if (faults_.empty())
    return {};
  auto next = std::move(faults_.front());
  faults_.pop_front();
  return next;
}

void test_bench::remember(const wanted_call& call, const json::object& body,
                          std::int64_t message) {
  if (message == 0 || !own_chat(body))
    return;
  if (!call.label.empty())
    labels_[call.label] = message;
  keyboards_.erase(message);
  const auto* markup = body.if_contains("reply_markup");
  if (!markup || !markup->is_object())
    return;
  const auto* rows = markup->get_object().if_contains("inline_keyboard");
  if (rows && rows->is_array())
    keyboards_[message] = *rows;
}

// The event that a labelled call's outcome becomes.
void test_bench::report(const wanted_call& call, const json::object& body,
                        const std::optional<fault>& wrong,
                        std::int64_t message) {
  if (call.label.empty())
    return;
  json::object o{{"label", call.label}, {"method", call.method}};
  o["ok"] = !wrong;
  if (wrong) {
    o["unknown"] = wrong->unknown;
    o["code"] = wrong->code;
    o["description"] = wrong->description;
  } else if (message != 0) {
    auto result = message_json(message);
    if (const auto* text = body.if_contains("text"))
      result.as_object()["text"] = *text;
    o["result"] = std::move(result);
  } else {
    o["result"] = true;
  }
  turn_event e;
  e.from = turn_event::source::outcome;
  e.body = std::make_shared<const std::string>(text_of(o));
  accept(std::move(e));
}

bool test_bench::own_chat(const json::object& body) const {
  const auto* chat = body.if_contains("chat_id");
  return !chat || (chat->is_int64() && chat->get_int64() == chat_);
}

}  // namespace troupe::detail
