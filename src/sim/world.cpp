#include "sim/world.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/json.hpp"

namespace troupe::sim {

namespace {

void append_number(std::string& out, std::int64_t n) {
  char buffer[24];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, n).ptr;
  out.append(buffer, end);
}

}  // namespace

chat* world::find(std::int64_t id) {
  auto it = chats_.find(id);
  return it == chats_.end() ? nullptr : &it->second;
}

chat& world::at(std::int64_t id) {
  auto& c = chats_[id];
  c.id = id;
  return c;
}

sent_message& world::send(chat& to, std::string text, std::string markup,
                          std::int64_t date) {
  if (to.sent.size() == chat::remembered)
    to.sent.pop_front();
  return to.sent.emplace_back(sent_message{++to.last_message, std::move(text),
                                           std::move(markup), date, false});
}

sent_message* world::find_sent(chat& in, std::int64_t id,
                               std::string_view action, std::string& why) {
  auto it = std::find_if(in.sent.begin(), in.sent.end(),
                         [&](auto& m) { return m.id == id; });
  if (it != in.sent.end() && !it->deleted)
    return &*it;
  if (it != in.sent.end() || id <= 0 || id > in.last_message) {
    why = "message to " + std::string{action} + " not found";
    return nullptr;
  }
  if (in.sent.size() < chat::remembered || id > in.sent.front().id) {
    // It was there, but a user wrote it.
    why = action == "edit" ? "message can't be edited"
                           : "message can't be deleted";
    return nullptr;
  }
  forgotten_ = {};
  forgotten_.id = id;
  return &forgotten_;
}

std::string world::open_query(mono_time now) {
  while (!query_order_.empty() && (query_order_.size() >= max_queries ||
                                   queries_.at(query_order_.front()) <= now)) {
    queries_.erase(query_order_.front());
    query_order_.pop_front();
  }
  auto id = std::to_string(next_query_++);
  queries_.emplace(id, now + query_life);
  query_order_.push_back(id);
  return id;
}

bool world::answer_query(std::string_view id, mono_time now) {
  auto it = queries_.find(std::string{id});
  return it != queries_.end() && now < it->second;
}

void append_user(std::string& out, std::int64_t id) {
  out += R"({"id":)";
  append_number(out, id);
  out += R"(,"is_bot":false,"first_name":"User )";
  append_number(out, id);
  out += R"(","language_code":"en"})";
}

void append_chat(std::string& out, const chat& c) {
  out += R"({"id":)";
  append_number(out, c.id);
  if (c.is_group()) {
    out += R"(,"title":"Group )";
    append_number(out, -c.id);
    out += c.is_supergroup() ? R"(","type":"supergroup"})"
                             : R"(","type":"group"})";
    return;
  }
  out += R"(,"first_name":"User )";
  append_number(out, c.id);
  out += R"(","type":"private"})";
}

void append_message(std::string& out, const chat& in, const sent_message& m,
                    std::string_view bot, std::int64_t edit_date) {
  out += R"({"message_id":)";
  append_number(out, m.id);
  out += R"(,"from":)";
  out += bot;
  out += R"(,"chat":)";
  append_chat(out, in);
  out += R"(,"date":)";
  append_number(out, m.date);
  if (edit_date != 0) {
    out += R"(,"edit_date":)";
    append_number(out, edit_date);
  }
  out += R"(,"text":)";
  append_json_string(out, m.text);
  if (!m.markup.empty()) {
    out += R"(,"reply_markup":)";
    out += m.markup;
  }
  out += '}';
}

std::string text_update(chat& in, std::int64_t user, std::string_view text,
                        std::int64_t date) {
  std::string out;
  out.reserve(256 + text.size());
  out += R"("message":{"message_id":)";
  append_number(out, ++in.last_message);
  out += R"(,"from":)";
  append_user(out, user);
  out += R"(,"chat":)";
  append_chat(out, in);
  out += R"(,"date":)";
  append_number(out, date);
  out += R"(,"text":)";
  append_json_string(out, text);
  if (text.size() > 1 && text.front() == '/') {
    out += R"(,"entities":[{"offset":0,"length":)";
    auto end = std::min(text.find_first_of(" \n\t"), text.size());
    append_number(out, static_cast<std::int64_t>(end));
    out += R"(,"type":"bot_command"}])";
  }
  out += '}';
  return out;
}

std::string press_update(const chat& in, std::int64_t user,
                         std::int64_t message, std::string_view data,
                         std::string_view query, std::string_view bot) {
  sent_message under;
  under.id = message;
  for (auto& m : in.sent)
    if (!m.deleted && (message == 0 || m.id == message))
      under = m;
  std::string out = R"("callback_query":{"id":)";
  append_json_string(out, query);
  out += R"(,"from":)";
  append_user(out, user);
  out += R"(,"message":)";
  append_message(out, in, under, bot, 0);
  out += R"(,"chat_instance":")";
  append_number(out, in.id * 31);
  out += R"(","data":)";
  append_json_string(out, data);
  out += '}';
  return out;
}

std::string block_update(const chat& in, std::int64_t user, bool blocked,
                         std::string_view bot, std::int64_t date) {
  auto member = [&](bool out_of_it) {
    std::string m = R"({"user":)";
    m += bot;
    m += out_of_it ? R"(,"status":"kicked","until_date":0})"
                   : R"(,"status":"member"})";
    return m;
  };
  std::string out = R"("my_chat_member":{"chat":)";
  append_chat(out, in);
  out += R"(,"from":)";
  append_user(out, user);
  out += R"(,"date":)";
  append_number(out, date);
  out += R"(,"old_chat_member":)" + member(!blocked);
  out += R"(,"new_chat_member":)" + member(blocked);
  out += '}';
  return out;
}

}  // namespace troupe::sim
