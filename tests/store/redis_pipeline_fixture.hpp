#pragma once

#include "store/redis_pipeline.hpp"

#include <map>
#include <optional>

#include "tests/support/catch.hpp"

/// A pipeline, fed with events by hand.
namespace troupe::store::redis::pipeline_test {

using namespace std::chrono_literals;

const script first{"return 1"};
const script second{"return redis.call('get', KEYS[1])"};

/// A pipeline with a clock, and what its commands came to.
struct pipeline_rig {
  explicit pipeline_rig(pipeline::settings how = {}) : line{how, cells} {
    line.connected("h:1", now);
  }

  void push(const std::string& name, how terms = {},
            std::optional<script> code = {}) {
    auto what = std::make_unique<command>();
    what->code = std::move(code);
    what->words = {name};
    what->repeatable = terms.repeatable;
    what->reads = terms.reads;
    what->deadline = now + (terms.timeout == 0ms ? 10s : terms.timeout);
    line.push(std::move(what));
  }

  /// What would be written now; it all leaves unless `leaves` says how much.
  std::string write(std::optional<std::size_t> leaves = {}) {
    std::string out;
    while (line.wants_to_send(now))
      line.fill(out, now);
    line.sent(leaves.value_or(out.size()));
    return out;
  }

  bool feed(std::string_view bytes) {
    pipeline::ends out;
    const auto fine = line.feed(bytes, now, out);
    note(out);
    return fine.has_value();
  }

  void lost(const std::string& why = "reset") {
    pipeline::ends out;
    line.lost(why, now, out);
    note(out);
  }

  bool expire() {
    pipeline::ends out;
    const bool alive = line.expire(now, out);
    note(out);
    return alive;
  }

  void note(pipeline::ends& out) {
    for (auto& end : out.answered) {
      const auto& name = end.what->words.at(0);
      order.push_back(name);
      REQUIRE(ends.count(name) == 0);  // answered once
      ends.emplace(name, std::move(end.answer));
    }
    for (auto& detour : out.detours)
      detours.push_back(std::move(detour));
  }

  errc code(const std::string& name) {
    INFO(name);
    REQUIRE(ends.count(name) == 1);
    REQUIRE_FALSE(ends.at(name).has_value());
    return ends.at(name).error().code;
  }
  std::string why(const std::string& name) {
    code(name);
    return ends.at(name).error().context;
  }
  bool done(const std::string& name) {
    return ends.count(name) == 1 && ends.at(name).has_value();
  }

  figure_cells cells;
  mono_time now{1h};
  pipeline line;
  std::map<std::string, result<reply>> ends;
  std::vector<std::string> order;
  std::vector<pipeline::detour> detours;
};

/// `words` as they are on the wire.
inline std::string wire(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const auto& word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return out;
}

/// What teaches these scripts to a server, and its answer.
inline std::string lesson(const std::vector<script>& all) {
  auto out = wire({"MULTI"});
  for (const auto& one : all)
    out += wire({"SCRIPT", "LOAD", one.text()});
  return out + wire({"EXEC"});
}
inline std::string learnt(std::size_t count) {
  std::string out = "+OK\r\n";
  for (std::size_t i = 0; i < count; ++i)
    out += "+QUEUED\r\n";
  out += "*" + std::to_string(count) + "\r\n";
  for (std::size_t i = 0; i < count; ++i)
    out += "$3\r\nsha\r\n";
  return out;
}
inline std::string by_sha(const script& code, const std::string& key) {
  return wire({"EVALSHA", code.sha(), "1", key});
}
inline std::string by_text(const script& code, const std::string& key) {
  return wire({"EVAL", code.text(), "1", key});
}

constexpr how repeatable{.repeatable = true};
using names = std::vector<std::string>;

}  // namespace troupe::store::redis::pipeline_test
