// What a handler can want: chat_base, outgoing and buttons.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "actors/turn_context.hpp"
#include "actors/turn_locks.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "telegram/call.hpp"
#include "troupe/buttons.hpp"
#include "troupe/chat.hpp"
#include "troupe/events.hpp"
#include "troupe/tables.hpp"

namespace troupe {

namespace detail {

namespace {

thread_local turn_context* current_turn = nullptr;
std::atomic<std::uint64_t> last_serial{0};

// A turn is one commit; what it wants has to fit one.
constexpr std::size_t most_effects = 10'000;

constexpr std::size_t longest_key = 256;
// A turn must be able to get through its commit in half of it.
constexpr std::chrono::milliseconds least_once = std::chrono::minutes{1};
constexpr std::chrono::milliseconds most_time = std::chrono::days{3'660};

void check_room(std::size_t used, const char* what) {
  if (used >= most_effects)
    throw std::length_error{std::string{"a turn wants over 10000 "} + what};
}

std::string digits(std::int64_t n) {
  return std::to_string(n);
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// splitmix64: small, and every seed is a good one.
std::uint64_t mixed(std::uint64_t& state) {
  auto z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

turn_context* running_turn() noexcept {
  return current_turn;
}

turn_context& turn_of(const chat_base* chat, const char* what) {
  if (current_turn && &current_turn->chat == chat)
    return *current_turn;
  throw std::logic_error{std::string{what} +
                         " outside a turn: a chat's context works only inside "
                         "its handlers, on the thread that runs them"};
}

void put_timer(turn_context& turn, wanted_timer what) {
  check_room(turn.timers.size() + turn.cancelled.size(), "timers");
  std::erase(turn.cancelled, what.name);
  std::erase_if(turn.timers, [&](auto& t) { return t.name == what.name; });
  turn.timers.push_back(std::move(what));
}

void drop_timer(turn_context& turn, std::string_view name) {
  check_room(turn.timers.size() + turn.cancelled.size(), "timers");
  std::erase_if(turn.timers, [&](const auto& t) { return t.name == name; });
  std::erase(turn.cancelled, name);
  turn.cancelled.emplace_back(name);
}

turn_context::turn_context(chat_base& of, const plan& with,
                           const turn_event& what, const turn_scene& where)
    : chat{of},
      shared{with},
      event{what},
      scene{where},
      serial{last_serial.fetch_add(1, std::memory_order_relaxed) + 1},
      random_state{where.seed} {}

turn_scope::turn_scope(turn_context* turn) noexcept : before_{current_turn} {
  current_turn = turn;
}
turn_scope::~turn_scope() {
  current_turn = before_;
}

void draft::set(std::string_view name, std::string json) {
  for (auto& p : parameters)
    if (p.first == name) {
      p.second = std::move(json);
      return;
    }
  parameters.emplace_back(name, std::move(json));
}

const std::string* draft::find(std::string_view name) const noexcept {
  for (const auto& p : parameters)
    if (p.first == name)
      return &p.second;
  return nullptr;
}

wanted_call finished(draft&& d, const chat_base& of, const turn_event& event) {
  wanted_call call;
  char before = '{';
  if (d.chat) {
    call.body += "{\"chat_id\":" + digits(*d.chat);
    before = ',';
  }
  for (const auto& [name, json] : d.parameters) {
    call.body.push_back(before);
    before = ',';
    append_json_string(call.body, name);
    call.body.push_back(':');
    call.body += json;
  }
  call.body += before == ',' ? "}" : "{}";
  if (event.from == turn_event::source::update) {
    if (d.bound || (d.chat && *d.chat == of.id())) {
      call.reply = true;
    } else if (auto own = parse_chat_key(of.key()); !d.chat && own) {
      call.reply = telegram::destination_of(call.body, *own) == *own;
    }
  }
  call.method = std::move(d.method);
  call.label = std::move(d.label);
  call.target = std::move(d.target);
  call.at_most_once = d.at_most_once;
  return call;
}

bool same_name(std::string_view entry, const command& c) noexcept {
  auto lower = [](char x) {
    return x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x;
  };
  if (entry.starts_with('/'))
    entry.remove_prefix(1);
  return std::ranges::equal(entry, c.name, {}, lower, lower);
}

void bad_entry(std::string_view name, const char* why) {
  throw std::logic_error{"table entry \"" + std::string{name} + "\" " + why};
}

}  // namespace detail

namespace {

detail::draft& draft_of(std::uint64_t turn, std::size_t index) {
  auto* current = detail::current_turn;
  if (!current || current->serial != turn)
    throw std::logic_error{
        "a call can be refined only in the turn that made "
        "it"};
  return current->calls[index];
}

void check_method(std::string_view method) {
  auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
  };
  if (method.empty() || !std::ranges::all_of(method, good))
    throw std::invalid_argument{"\"" + std::string{method} +
                                "\" is not the name of a method"};
}

std::string json_or_nothing(const json::value& body) {
  std::string text;
  if (!body.is_null())
    detail::write_value(text, body);
  detail::check_depth(text);
  return text;
}

std::int64_t own_id(const chat_base& chat, const char* what) {
  if (chat.id() == 0)
    throw std::logic_error{std::string{what} + ": \"" + chat.key() +
                           "\" is no chat"};
  return chat.id();
}

void check_timer(std::string_view name) {
  if (name.empty())
    throw std::invalid_argument{"a timer needs a name"};
  if (name.front() == detail::own_timer)
    throw std::invalid_argument{"a timer's name must not begin with ':'"};
  // A key in every store, and an index row of PostgreSQL holds no more than
  // 2,704 bytes.
  if (name.size() > 1'024)
    throw std::invalid_argument{"a timer's name must have 1 to 1024 bytes"};
}

}  // namespace

outgoing outgoing::as(std::string label) {
  if (label.empty())
    throw std::invalid_argument{"a label must not be empty"};
  draft_of(turn_, index_).label = std::move(label);
  return *this;
}

outgoing outgoing::at_most_once() {
  draft_of(turn_, index_).at_most_once = true;
  return *this;
}

outgoing outgoing::to(std::int64_t chat) {
  auto& d = draft_of(turn_, index_);
  if (d.bound || (!d.chat && !d.find("chat_id")))
    throw std::logic_error{d.method + " can't go to another chat"};
  std::erase_if(d.parameters,
                [](const auto& p) { return p.first == "chat_id"; });
  d.chat = chat;
  return *this;
}

outgoing outgoing::with(std::string_view parameter, const json::value& value) {
  auto& d = draft_of(turn_, index_);
  std::string text;
  detail::write_value(text, value);
  if (parameter == "chat_id" && d.bound)
    throw std::logic_error{d.method + " can't go to another chat"};
  if (parameter == "chat_id")
    d.chat.reset();
  d.set(parameter, std::move(text));
  return *this;
}

outgoing chat_base::reply(std::string_view text, const buttons& keyboard) {
  auto& turn = detail::turn_of(this, "reply");
  detail::check_room(turn.calls.size(), "calls");
  detail::draft d;
  d.method = "sendMessage";
  d.chat = own_id(*this, "reply");
  d.set("text", detail::quoted(text));
  if (!keyboard.empty())
    d.set("reply_markup", keyboard.json());
  turn.calls.push_back(std::move(d));
  return {turn.serial, turn.calls.size() - 1};
}

outgoing chat_base::edit(std::string_view label, std::string_view text,
                         const buttons& keyboard) {
  auto& turn = detail::turn_of(this, "edit");
  detail::check_room(turn.calls.size(), "calls");
  if (label.empty())
    throw std::invalid_argument{"edit needs the label of what was sent"};
  detail::draft d;
  d.method = "editMessageText";
  d.chat = own_id(*this, "edit");
  d.target = label;
  d.bound = true;
  d.set("text", detail::quoted(text));
  if (!keyboard.empty())
    d.set("reply_markup", keyboard.json());
  turn.calls.push_back(std::move(d));
  return {turn.serial, turn.calls.size() - 1};
}

outgoing chat_base::answer(const callback& press, std::string_view text) {
  auto& turn = detail::turn_of(this, "answer");
  detail::check_room(turn.calls.size(), "calls");
  detail::draft d;
  d.method = "answerCallbackQuery";
  d.bound = true;
  d.set("callback_query_id", detail::quoted(press.id));
  if (!text.empty())
    d.set("text", detail::quoted(text));
  turn.calls.push_back(std::move(d));
  return {turn.serial, turn.calls.size() - 1};
}

outgoing chat_base::call(std::string_view method,
                         const json::value& parameters) {
  auto& turn = detail::turn_of(this, "call");
  detail::check_room(turn.calls.size(), "calls");
  check_method(method);
  if (!parameters.is_object() && !parameters.is_null())
    throw std::invalid_argument{"the parameters of " + std::string{method} +
                                " must be an object"};
  detail::draft d;
  d.method = method;
  if (const auto* given = parameters.if_object())
    for (const auto& [name, value] : *given) {
      std::string text;
      detail::write_value(text, value);
      d.set(name, std::move(text));
    }
  if (!d.find("chat_id") && id_ != 0 &&
      detail::takes_own_chat(method, d.find("inline_message_id") != nullptr))
    d.chat = id_;
  turn.calls.push_back(std::move(d));
  return {turn.serial, turn.calls.size() - 1};
}

void chat_base::schedule(std::string_view name, std::chrono::milliseconds delay,
                         const json::value& body) {
  auto now = detail::turn_of(this, "schedule").scene.now_ms;
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  auto ms = std::max<std::int64_t>(delay.count(), 0);
  auto due = ms > most - now ? most : now + ms;
  schedule(name,
           std::chrono::sys_time<std::chrono::milliseconds>{
               std::chrono::milliseconds{due}},
           body);
}

void chat_base::schedule(std::string_view name,
                         std::chrono::sys_time<std::chrono::milliseconds> due,
                         const json::value& body) {
  auto& turn = detail::turn_of(this, "schedule");
  check_timer(name);
  auto due_ms = due.time_since_epoch().count();
  // Name and time are what a timer is known by: one that sets itself again is
  // another (see `once`).
  if (turn.event.from == detail::turn_event::source::timer &&
      turn.event.name == name && turn.event.accepted_ms == due_ms)
    ++due_ms;
  detail::put_timer(turn, {std::string{name}, due_ms, json_or_nothing(body)});
}

void chat_base::cancel(std::string_view name) {
  auto& turn = detail::turn_of(this, "cancel");
  check_timer(name);
  detail::drop_timer(turn, name);
}

void chat_base::become(std::string_view mode) {
  auto& turn = detail::turn_of(this, "become");
  const auto& modes = turn.shared.modes;
  auto n = turn.shared.find(mode);
  if (mode.empty() || n == modes.size()) {
    std::string all;
    for (const auto& m : modes)
      all += (all.empty() ? "" : ", ") + m.name;
    throw std::logic_error{"the bot has no mode \"" + std::string{mode} +
                           "\", but " + all};
  }
  turn.next_mode = n;
}

void chat_base::notify(std::int64_t chat, std::string_view text) {
  auto& turn = detail::turn_of(this, "notify");
  detail::check_room(turn.notices.size(), "notices");
  if (chat == 0)
    throw std::invalid_argument{"notify needs the id of a chat"};
  turn.notices.push_back({chat, std::string{text}});
}

bool chat_base::once(std::string_view key, std::chrono::milliseconds ttl) {
  auto& turn = detail::turn_of(this, "once");
  if (key.empty() || key.size() > detail::longest_key)
    throw std::invalid_argument{"a key of once must have 1 to 256 bytes"};
  if (ttl < detail::least_once || ttl > detail::most_time)
    throw std::invalid_argument{"the ttl of \"" + std::string{key} +
                                "\" must be a minute to ten years"};
  if (std::ranges::find(turn.scene.taken, key) != turn.scene.taken.end())
    return false;
  auto known = std::ranges::find(turn.once, key, &detail::wanted_once::key);
  if (known != turn.once.end()) {
    known->ttl_ms = std::max<std::int64_t>(known->ttl_ms, ttl.count());
    return true;
  }
  if (turn.once.size() == detail::most_once)
    throw std::length_error{"a turn asks once for over 64 keys"};
  turn.once.push_back({std::string{key}, ttl.count()});
  return true;
}

std::chrono::sys_time<std::chrono::milliseconds> chat_base::now() const {
  return std::chrono::sys_time<std::chrono::milliseconds>{
      std::chrono::milliseconds{detail::turn_of(this, "now").scene.now_ms}};
}

std::uint64_t chat_base::random() {
  return detail::mixed(detail::turn_of(this, "random").random_state);
}

std::uint64_t chat_base::random(std::uint64_t end) {
  if (end == 0)
    throw std::invalid_argument{"random(0): there is no number below 0"};
  // Values under 2^64 mod end would make the small results likelier.
  auto least = (std::numeric_limits<std::uint64_t>::max() - end + 1) % end;
  for (;;)
    if (auto x = random(); x >= least)
      return x % end;
}

void chat_base::note_cleared() {
  detail::turn_of(this, "clear").cleared = true;
}

button::button(std::string text, std::string data)
    : text_{std::move(text)}, data_{std::move(data)} {
  if (text_.empty())
    throw std::invalid_argument{"a button needs a text"};
  if (data_.empty() || data_.size() > 64)
    throw std::invalid_argument{"the data of button \"" + text_ +
                                "\" must have 1 to 64 bytes"};
}

button button::link(std::string text, std::string url) {
  if (text.empty() || url.empty())
    throw std::invalid_argument{"a button needs a text and its page"};
  button b;
  b.text_ = std::move(text);
  b.url_ = std::move(url);
  return b;
}

buttons::buttons(std::initializer_list<std::initializer_list<button>> rows) {
  for (const auto& r : rows)
    row(r);
}

buttons& buttons::row(std::vector<button> row) {
  if (!row.empty())
    rows_.push_back(std::move(row));
  return *this;
}

std::string buttons::json() const {
  std::string out = "{\"inline_keyboard\":[";
  for (const auto& r : rows_) {
    out += &r == rows_.data() ? "[" : ",[";
    for (const auto& b : r) {
      out += &b == r.data() ? "{\"text\":" : ",{\"text\":";
      append_json_string(out, b.text());
      out += b.url().empty() ? ",\"callback_data\":" : ",\"url\":";
      append_json_string(out, b.url().empty() ? b.data() : b.url());
      out.push_back('}');
    }
    out.push_back(']');
  }
  return out + "]}";
}

json::value update_event::parse() const {
  auto parsed = parse_json(*body);
  if (!parsed)
    throw std::runtime_error{to_string(parsed.error())};
  return std::move(*parsed);
}

}  // namespace troupe
