#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "sim/verify.hpp"
#include "tests/support/catch.hpp"

/// Logs written by hand, for tests of the judge.
namespace troupe::sim::test {

// Writes a log by hand, as the simulator would.
class script {
 public:
  explicit script(std::string limits = R"("global_per_second":30,)"
                                       R"("chat_per_second":1,)"
                                       R"("group_per_minute":20)") {
    text_ = R"({"e":"config","t":0,"version":1,)" + limits + "}\n";
  }

  script& update(int id, std::int64_t chat, std::string words,
                 std::int64_t at) {
    return raw(R"({"e":"update","t":)" + num(at) + R"(,"id":)" + num(id) +
               R"(,"chat":)" + num(chat) + R"(,"user":1,"kind":"message",)" +
               R"("text":")" + words + "\"}");
  }
  script& deliver(int id, std::int64_t t0, std::int64_t t1, int status = 200) {
    return raw(R"({"e":"deliver","t":)" + num(t1) + R"(,"id":)" + num(id) +
               R"(,"attempt":1,"t0":)" + num(t0) + R"(,"t1":)" + num(t1) +
               R"(,"status":)" + num(status) + "}");
  }
  script& reply(std::int64_t chat, std::string text, std::int64_t at,
                std::string more = R"(,"recorded":true,"code":200)") {
    return call(chat, std::move(text), at, at, more);
  }
  script& call(std::int64_t chat, std::string text, std::int64_t at,
               std::int64_t out, std::string more,
               std::string method = "sendMessage") {
    return raw(R"({"e":"call","t":)" + num(at) + R"(,"method":")" + method +
               R"(","chat":)" + num(chat) + R"(,"text":")" + text +
               R"(","t_in":)" + num(at) + R"(,"t_out":)" + num(out) + more +
               "}");
  }
  script& refused(std::int64_t chat, std::int64_t at, std::string why,
                  int retry_after = 1) {
    return reply(
        chat, "n=1 text=x", at,
        R"(,"code":429,"retry_after":)" + num(retry_after) + "," + why);
  }
  script& raw(const std::string& line) {
    text_ += line + '\n';
    return *this;
  }
  std::string ended(std::string how = "settled") {
    raw(R"({"e":")" + how + R"(","t":99000000})");
    return text_;
  }
  const std::string& text() const { return text_; }

 private:
  static std::string num(std::int64_t n) { return std::to_string(n); }
  std::string text_;
};

inline result<verdict> judge(const std::string& log, verify_options how = {}) {
  log_judge j{how};
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < log.size();) {
    auto end = log.find('\n', at);
    auto ok = j.read(std::string_view{log}.substr(at, end - at), ++number);
    if (!ok)
      return ok.error();
    at = end + 1;
  }
  return j.finish();
}

inline verdict::state state_of(const verdict& v, std::string_view name) {
  for (auto& g : v.guarantees)
    if (g.name == name)
      return g.is;
  FAIL("no such guarantee");
  return {};
}

using enum verdict::state;

// Two texts in one chat, one in another, all as it should be.
inline script clean() {
  script s;
  s.update(10, 1, "a-1", 1'000'000)
      .update(11, 1, "a-2", 1'100'000)
      .update(12, 2, "b-1", 1'200'000)
      .deliver(10, 1'000'000, 1'002'000)
      .reply(1, "n=1 text=a-1", 1'010'000)
      .deliver(11, 1'100'000, 1'104'000)
      .deliver(12, 1'200'000, 1'203'000)
      .reply(2, "n=1 text=b-1", 1'210'000)
      .reply(1, "n=2 text=a-2", 2'100'000);
  return s;
}

}  // namespace troupe::sim::test
