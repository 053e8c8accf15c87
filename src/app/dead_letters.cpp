#include <chrono>
#include <ctime>

#include "app/commands.hpp"
#include "app/node_link.hpp"
#include "core/clock.hpp"
#include "core/json.hpp"

namespace troupe::app {
namespace {

std::string time_of(const json::object& from, std::string_view name) {
  const json::value* at = from.if_contains(name);
  if (at == nullptr || !at->is_int64())
    return "-";
  const auto seconds = static_cast<std::time_t>(at->get_int64() / 1000);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr)
    return "-";
  char text[32];
  const std::size_t size =
      std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

/// One line of text: tabs and newlines would break the table.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20)
      c = ' ';
  }
  return text;
}

class letters {
 public:
  letters(node_link& node, const invocation& call, console& talk)
      : node_{node}, call_{call}, talk_{talk} {}

  int list() {
    const auto page =
        get("/admin/dead-letters?after=" + std::to_string(call_.after) +
            "&limit=" + std::to_string(call_.limit));
    if (!page)
      return failed(page.error());
    if (call_.json) {
      talk_.data(json::serialize(*page));
      return exit_ok;
    }
    const json::array& all = page->at("dead_letters").get_array();
    talk_.data("ID\tCHAT\tTYPE\tUPDATE\tDIED\tERROR");
    for (const json::value& one : all) {
      const json::object& in = one.get_object();
      talk_.data(text_of(in, "id") + '\t' + text_of(in, "chat") + '\t' +
                 text_of(in, "type") + '\t' + text_of(in, "update_id") + '\t' +
                 time_of(in, "died_at_ms") + '\t' +
                 one_line(text_of(in, "error")));
    }
    if (const auto next = text_of(*page, "next"); !next.empty()) {
      talk_.say("there may be more: --after " + next);
    }
    return exit_ok;
  }

  int show() {
    const auto page =
        get("/admin/dead-letters/" + std::to_string(call_.ids.front()));
    if (!page)
      return failed(page.error());
    if (call_.json) {
      talk_.data(json::serialize(*page));
      return exit_ok;
    }
    for (const char* name : {"id", "chat", "type", "update_id", "shard"}) {
      talk_.data(std::string{name} + ": " + text_of(*page, name));
    }
    talk_.data("accepted: " + time_of(*page, "accepted_at_ms"));
    talk_.data("died: " + time_of(*page, "died_at_ms"));
    talk_.data("error: " + one_line(text_of(*page, "error")));
    talk_.data("body: " + text_of(*page, "body"));
    return exit_ok;
  }

  int act(bool retry) {
    const char* const done = retry ? "retried" : "dropped";
    json::object body;
    if (call_.all) {
      body["all"] = true;
      body["before_ms"] = to_ms(system_clock().wall());
    } else {
      body["ids"] = json::value_from(call_.ids);
    }
    std::int64_t count = 0;
    for (bool more = true; more;) {
      const auto page =
          post(retry ? "/admin/dead-letters/retry" : "/admin/dead-letters/drop",
               json::serialize(body));
      if (!page) {
        if (count > 0)
          talk_.say(std::to_string(count) + ' ' + done);
        return failed(page.error());
      }
      const std::int64_t now = page->at(done).to_number<std::int64_t>();
      count += now;
      more = page->at("more").get_bool() && now > 0;
      if (more)
        talk_.say(std::to_string(count) + ' ' + done + " so far");
    }
    return report(count, done);
  }

 private:
  int report(std::int64_t count, const char* done) {
    if (call_.json) {
      talk_.data(json::serialize(json::object{{done, count}}));
    } else {
      talk_.data(std::to_string(count) + ' ' + done);
    }
    const auto wanted = static_cast<std::int64_t>(call_.ids.size());
    if (call_.all || count == wanted)
      return exit_ok;
    talk_.say(std::to_string(wanted - count) +
              " of the ids are no dead "
              "letters (any more)");
    return exit_failed;
  }

  result<json::object> get(std::string target) {
    http::request what;
    what.target = std::move(target);
    return fetch(node_, std::move(what));
  }

  result<json::object> post(std::string target, std::string body) {
    http::request what;
    what.method = "POST";
    what.target = std::move(target);
    what.headers.add("Content-Type", "application/json");
    what.body = std::move(body);
    return fetch(node_, std::move(what));
  }

  int failed(const error& e) {
    talk_.say(e.context.empty() ? to_string(e) : e.context);
    return exit_failed;
  }

  node_link& node_;
  const invocation& call_;
  console& talk_;
};

/// A JSON object as indented `name: value` lines.
void print_tree(const json::value& from, const std::string& indent,
                console& talk) {
  const auto line = [&](const std::string& name, const json::value& value) {
    if ((value.is_object() && !value.get_object().empty()) ||
        (value.is_array() && !value.get_array().empty())) {
      talk.data(indent + name + ':');
      print_tree(value, indent + "  ", talk);
    } else {
      talk.data(indent + name + ": " +
                (value.is_string() ? std::string{value.get_string()}
                                   : json::serialize(value)));
    }
  };
  if (const json::object* object = from.if_object()) {
    for (const auto& [name, value] : *object)
      line(std::string{name}, value);
  } else if (const json::array* array = from.if_array()) {
    for (const json::value& value : *array)
      line("-", value);
  }
}

}  // namespace

int dead_letters(const settings& with, const invocation& call, console& talk) {
  const auto node = find_node(with);
  if (!node) {
    talk.say(node.error().context);
    return exit_failed;
  }
  letters todo{**node, call, talk};
  switch (call.what) {
    case command::letters_list: return todo.list();
    case command::letters_show: return todo.show();
    case command::letters_retry: return todo.act(true);
    default: return todo.act(false);
  }
}

int stats(const settings& with, const invocation& call, console& talk) {
  const auto node = find_node(with);
  if (!node) {
    talk.say(node.error().context);
    return exit_failed;
  }
  http::request what;
  what.target = "/stats";
  if (!call.chat.empty()) {
    const auto key = parse_chat_key(call.chat);
    if (!key) {
      talk.say("stats chat: " + key.error().context);
      return exit_usage;
    }
    what.target += "/chats/" + to_string(*key);
  }
  auto page = fetch(**node, std::move(what));
  if (!page) {
    talk.say(page.error().context);
    return exit_failed;
  }
  if (!(*node)->running())
    talk.say("no node is running; this is its store");
  if (call.json) {
    talk.data(json::serialize(*page));
  } else {
    page->erase("history");  // thousands of numbers: for curves, and --json
    print_tree(*page, "", talk);
  }
  return exit_ok;
}

}  // namespace troupe::app
