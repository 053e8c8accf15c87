#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <troupe/bot.hpp>
#include <utility>
#include <vector>

namespace troupe::probe {

using end = detail::turn_result::end;

/// A state to try things on.
struct tally {
  int n = 0;
  std::vector<std::string> seen;
};
BOOST_DESCRIBE_STRUCT(tally, (), (n, seen))

/// What a behaviour saw, in order.
using trace = std::shared_ptr<std::vector<std::string>>;

inline trace new_trace() {
  return std::make_shared<std::vector<std::string>>();
}

inline bot<tally> only(std::function<behavior(chat<tally>*)> make) {
  return bot<tally>{std::move(make)};
}

/// One chat as the runtime sees it, without the kit.
struct seam {
  std::unique_ptr<detail::live_chat> live;
  std::int64_t now_ms = 1'700'000'000'000;
  std::string username;
  std::uint64_t seed = 1;

  template <class State>
  explicit seam(const bot<State>& of, std::int64_t id = 42)
      : live{of.share()->spawn(std::to_string(id), id)} {
    live->load("", "", "", 0);
  }

  detail::turn_result update(const std::string& json,
                             std::int64_t waited_ms = 0) {
    detail::turn_event e;
    e.body = std::make_shared<const std::string>(json);
    e.accepted_ms = now_ms - waited_ms;
    return live->run(e, {now_ms, seed, username});
  }

  detail::turn_result of(detail::turn_event::source from, std::string body,
                         std::string name = {}) {
    detail::turn_event e;
    e.from = from;
    e.name = std::move(name);
    e.body = std::make_shared<const std::string>(std::move(body));
    e.accepted_ms = now_ms;
    return live->run(e, {now_ms, seed, username});
  }

  /// `text` must need no escapes. A leading '/' makes it a command.
  detail::turn_result text(const std::string& text, std::int64_t chat = 42,
                           const std::string& kind = "message") {
    auto type = chat > 0 ? "private" : "supergroup";
    auto json = R"({"update_id":5,")" + kind +
                R"(":{"message_id":7,"date":1700000000,"chat":{"id":)" +
                std::to_string(chat) + R"(,"type":")" + type +
                R"("},"from":{"id":42,"is_bot":false,"first_name":"Ann",)"
                R"("last_name":"Lee","username":"ann","language_code":"de"},)"
                R"("text":")" +
                text + '"';
    if (text.starts_with('/'))
      json += R"(,"entities":[{"type":"bot_command","offset":0,"length":)" +
              std::to_string(std::min(text.find(' '), text.size())) + "}]";
    return update(json + "}}");
  }

  detail::turn_result press(const std::string& data, int user = 42,
                            int message = 9) {
    return update(
        R"({"update_id":6,"callback_query":{"id":"q1","from":{"id":)" +
        std::to_string(user) +
        R"(,"is_bot":false,"first_name":"A"},"message":{"message_id":)" +
        std::to_string(message) +
        R"(,"date":1,"chat":{"id":42,"type":"private"}},)"
        R"("chat_instance":"c","data":")" +
        data + R"("}})");
  }
};

}  // namespace troupe::probe
