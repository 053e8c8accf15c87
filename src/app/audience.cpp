#include <algorithm>
#include <chrono>
#include <ctime>

#include "app/audience_pages.hpp"
#include "app/commands.hpp"
#include "app/node_link.hpp"
#include "core/clock.hpp"
#include "core/json.hpp"

namespace troupe::app {
namespace {

constexpr std::chrono::seconds told_every{1};

std::int64_t whole_of(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  boost::system::error_code bad;
  const auto n = found ? found->to_number<std::int64_t>(bad) : 0;
  return bad ? 0 : n;
}

std::string iso_time(std::int64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr)
    return {};
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// A field as RFC 4180 wants it.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos)
    return text;
  std::string out = "\"";
  for (const char c : text)
    out += c == '"' ? std::string{"\"\""} : std::string(1, c);
  return out + '"';
}

std::string csv_line(const json::object& m) {
  std::string tags;
  for (const json::value& t : m.at("tags").get_array())
    (tags += tags.empty() ? "" : " ") += std::string_view{t.get_string()};
  return csv_field(text_of(m, "chat")) + ',' + text_of(m, "kind") + ',' +
         csv_field(text_of(m, "language")) + ',' + text_of(m, "status") + ',' +
         iso_time(whole_of(m, "first_seen_ms")) + ',' +
         iso_time(whole_of(m, "last_seen_ms")) + ',' + csv_field(tags);
}

class audience_desk {
 public:
  audience_desk(node_link& node, const invocation& call, console& talk)
      : node_{node}, call_{call}, talk_{talk} {}

  int count() {
    const auto ok = walk(audience_path, {}, [](const json::object&) {});
    return ok ? report({{"matched", matched_}, {"walked", walked_}})
              : failed(ok.error());
  }

  /// A page at a time: as much is in memory, however many there are.
  int list() {
    if (!call_.json)
      talk_.data("chat,kind,language,status,first_seen,last_seen,tags");
    const auto ok =
        walk(audience_path, {{"list", true}}, [this](const json::object& page) {
          std::string lines;
          for (const json::value& one : page.at("members").get_array())
            (lines += lines.empty() ? "" : "\n") +=
                call_.json ? json::serialize(one) : csv_line(one.get_object());
          if (!lines.empty())
            talk_.data(std::move(lines));
        });
    if (!ok)
      return failed(ok.error());
    talk_.say(std::to_string(matched_) + " of " + std::to_string(walked_));
    return exit_ok;
  }

  int tag() {
    std::int64_t changed = 0;
    json::object more{{"tag", call_.tag}, {"add", call_.add_tag}};
    if (!call_.chat.empty())
      more["chat"] = call_.chat;
    const auto ok =
        walk("/admin/audience/tag", more, [&](const json::object& page) {
          changed += whole_of(page, "changed");
        });
    if (!ok) {
      if (changed > 0)
        talk_.say(std::to_string(changed) + " changed before");
      return failed(ok.error());
    }
    return report({{"changed", changed}, {"matched", matched_}});
  }

 private:
  /// Asks for page after page. A node that answers badly ends it.
  template <class Each>
  result<> walk(std::string_view path, const json::object& more, Each each) {
    auto body = more;
    if (call_.chat.empty())
      body["audience"] = call_.audience;
    auto told = std::chrono::steady_clock::now();
    for (;;) {
      http::request what;
      what.method = "POST";
      what.target = path;
      what.headers.add("Content-Type", "application/json");
      what.body = json::serialize(body);
      const auto page = fetch(node_, std::move(what));
      if (!page)
        return page.error();
      matched_ += whole_of(*page, "matched");
      walked_ += whole_of(*page, "walked");
      each(*page);
      const auto next = text_of(*page, "next");
      if (next.empty())
        return {};
      body["after"] = next;
      if (const auto now = std::chrono::steady_clock::now();
          now - told >= told_every) {
        told = now;
        talk_.say(std::to_string(matched_) + " of " + std::to_string(walked_) +
                  " so far");
      }
    }
  }

  int report(const json::object& page) {
    if (call_.json) {
      talk_.data(json::serialize(page));
      return exit_ok;
    }
    for (const auto& [name, value] : page)
      talk_.data(std::string{name} + ": " + text_of(page, name));
    return exit_ok;
  }

  int failed(const error& e) {
    talk_.say("audience: " + (e.context.empty() ? to_string(e) : e.context));
    return exit_failed;
  }

  node_link& node_;
  const invocation& call_;
  console& talk_;
  std::int64_t matched_ = 0;
  std::int64_t walked_ = 0;
};

}  // namespace

int audience(const settings& with, const invocation& call, console& talk) {
  const auto node = find_node(with);
  if (!node) {
    talk.say("audience: " + node.error().context);
    return exit_failed;
  }
  audience_desk todo{**node, call, talk};
  switch (call.what) {
    case command::audience_count: return todo.count();
    case command::audience_export: return todo.list();
    default: return todo.tag();
  }
}

int forget(const settings& with, const invocation& call, console& talk) {
  const auto key = parse_chat_key(call.chat);
  if (!key) {
    talk.say("forget: " + key.error().context);
    return exit_usage;
  }
  const auto node = find_node(with);
  if (!node) {
    talk.say("forget: " + node.error().context);
    return exit_failed;
  }
  http::request what;
  what.target = std::string{chats_path} + to_string(*key);
  if (!call.dry_run) {
    what.method = "POST";
    what.target += "/forget";
  }
  const auto page = fetch(**node, std::move(what));
  if (!page) {
    talk.say("forget: " + page.error().context);
    return exit_failed;
  }
  if (call.json) {
    talk.data(json::serialize(*page));
    return exit_ok;
  }
  for (const char* part : {"kept", "removed", "left"}) {
    const json::value* counts = page->if_contains(part);
    if (counts == nullptr || !counts->is_object())
      continue;
    std::string line = std::string{part} + ':';
    for (const auto& [name, n] : counts->get_object())
      line += ' ' + std::string{name} + ' ' + json::serialize(n);
    talk.data(std::move(line));
  }
  return exit_ok;
}

}  // namespace troupe::app
