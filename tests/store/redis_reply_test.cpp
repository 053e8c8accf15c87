#include "store/redis_reply.hpp"

#include <random>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::store::redis;

namespace {

constexpr std::size_t plenty = 1 << 20;

/// All replies in `bytes`, fed in pieces of `step`.
std::vector<reply> read_all(std::string_view bytes, std::size_t step = 1) {
  reply_reader reader{plenty};
  std::vector<reply> out;
  while (!bytes.empty()) {
    reader.feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    for (;;) {
      auto got = reader.next();
      if (!got)
        FAIL(to_string(got.error()));
      if (!*got)
        break;
      out.push_back(std::move(**got));
    }
  }
  return out;
}

error refusal(std::string_view bytes, std::size_t most = plenty) {
  reply_reader reader{most};
  reader.feed(bytes);
  auto got = reader.next();
  REQUIRE_FALSE(got.has_value());
  return got.error();
}

}  // namespace

TEST_CASE("replies of every kind are read, in whatever pieces they come") {
  const std::string bytes =
      "+OK\r\n-ERR "
      "no\r\n:-42\r\n$5\r\nhe\r\no\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"
      "*4\r\n:1\r\n*2\r\n$1\r\na\r\n-NO way\r\n$-1\r\n*1\r\n+x\r\n";
  for (const std::size_t step : {1, 2, 3, 7, 1000}) {
    const auto got = read_all(bytes, step);
    REQUIRE(got.size() == 9);
    CHECK(got[0].is_ok());
    CHECK(got[1].is_error());
    CHECK(got[1].text == "ERR no");
    CHECK(got[2].type == reply::kind::integer);
    CHECK(got[2].number == -42);
    CHECK(got[3].type == reply::kind::text);
    CHECK(got[3].text == "he\r\no");
    CHECK(got[4].is_nil());
    CHECK(got[5].is_nil());
    CHECK(got[6].type == reply::kind::list);
    CHECK(got[6].items.empty());
    CHECK(got[7].type == reply::kind::text);
    CHECK(got[7].text.empty());
    const auto& list = got[8].items;
    REQUIRE(list.size() == 4);
    CHECK(list[0].number == 1);
    REQUIRE(list[1].items.size() == 2);
    CHECK(list[1].items[0].text == "a");
    CHECK(list[1].items[1].is_error());
    CHECK(list[1].items[1].text == "NO way");
    CHECK(list[2].is_nil());
    CHECK(list[3].items.at(0).text == "x");
    CHECK_FALSE(list[3].items[0].is_ok());
  }
}

TEST_CASE("long lists and long texts are read whole") {
  std::string bytes = "*5000\r\n";
  for (int i = 0; i < 5000; ++i)
    bytes += "*2\r\n:" + std::to_string(i) + "\r\n$3\r\nabc\r\n";
  const std::string body(100'000, 'x');
  bytes += "$100000\r\n" + body + "\r\n";
  const auto got = read_all(bytes, 4096);
  REQUIRE(got.size() == 2);
  REQUIRE(got[0].items.size() == 5000);
  CHECK(got[0].items[4999].items[0].number == 4999);
  CHECK(got[0].items[4999].items[1].text == "abc");
  CHECK(got[1].text == body);
}

TEST_CASE("what is no RESP2 is refused") {
  CHECK(refusal("HTTP/1.1 400 Bad Request\r\n").code == errc::unavailable);
  CHECK(refusal("$-2\r\n").code == errc::unavailable);
  CHECK(refusal("*2000000\r\n").code == errc::unavailable);
  CHECK(refusal("*99999999999999\r\n").code == errc::unavailable);
  CHECK(refusal("*1\r\n*9999999\r\n").code == errc::unavailable);
  CHECK(refusal(",1.5\r\n").code == errc::unavailable);
  CHECK(refusal("#t\r\n").code == errc::unavailable);
  std::string deep;
  for (int i = 0; i < 20; ++i)
    deep += "*1\r\n";
  // 0.14 refuses the depth, 1.x reads it; neither overruns anything.
  reply_reader reader{plenty};
  reader.feed(deep + ":1\r\n");
  reader.next();
}

TEST_CASE("an endless answer is refused") {
  CHECK(refusal("$900\r\n" + std::string(600, 'x'), 500).code ==
        errc::too_large);
  // Many short ones are no long one.
  reply_reader reader{500};
  for (int i = 0; i < 1000; ++i) {
    reader.feed("+0123456789\r\n");
    auto got = reader.next();
    REQUIRE(got.has_value());
    REQUIRE(got->has_value());
  }
}

TEST_CASE("a reader that was reset begins anew") {
  reply_reader reader{plenty};
  reader.feed("*2\r\n:1\r\n");
  REQUIRE(reader.next().has_value());
  reader.reset();
  reader.feed(":5\r\n");
  auto got = reader.next();
  REQUIRE(got.has_value());
  REQUIRE(got->has_value());
  CHECK((*got)->number == 5);
}

TEST_CASE("random bytes never hurt the reader") {
  std::mt19937 random{7};
  const std::string alphabet = "*$:+-#,_0123456789\r\n ab";
  for (int run = 0; run < 3000; ++run) {
    reply_reader reader{10'000};
    for (int piece = 0; piece < 20; ++piece) {
      std::string bytes;
      for (int i = 0; i < 8; ++i)
        bytes +=
            random() % 4 == 0 ? '\n' : alphabet[random() % alphabet.size()];
      reader.feed(bytes);
      auto got = reader.next();
      if (!got)
        break;
    }
  }
}

TEST_CASE("an error's first word says what may be done about it") {
  using kind = verdict::kind;
  CHECK(judge("ERR wrong number of arguments").what == kind::final);
  CHECK(judge("ERR wrong number of arguments").code == errc::internal);
  CHECK(judge("MYERROR of a script").code == errc::internal);
  CHECK(judge("").what == kind::final);
  CHECK(judge("NOSCRIPT No matching script.").what == kind::no_script);
  CHECK(judge("LOADING Redis is loading").what == kind::pause);
  CHECK(judge("BUSY Redis is busy").what == kind::pause);
  CHECK(judge("READONLY You can't write").what == kind::relocate);
  CHECK(judge("MASTERDOWN Link").what == kind::relocate);
  CHECK(judge("CLUSTERDOWN The cluster is down").what == kind::relocate);
  CHECK(judge("NOAUTH Authentication required.").what == kind::relocate);
  CHECK(judge("TRYAGAIN Multiple keys").what == kind::try_again);
  for (const auto* text :
       {"OOM command not allowed", "MISCONF Redis is", "NOREPLICAS Not enough",
        "NOPERM this user", "WRONGPASS invalid", "DENIED Redis is running"}) {
    CHECK(judge(text).what == kind::final);
    CHECK(judge(text).code == errc::unavailable);
  }
  CHECK(judge("WRONGTYPE Operation").code == errc::corrupt);
  CHECK(judge("OOMX").code == errc::internal);
}

TEST_CASE("a redirection names slot and server") {
  using kind = verdict::kind;
  auto v = judge("MOVED 3999 127.0.0.1:6381");
  CHECK(v.what == kind::moved);
  CHECK(v.slot == 3999);
  CHECK(v.at == address{"127.0.0.1", 6381});
  v = judge("ASK 16383 node-3.example:7000");
  CHECK(v.what == kind::ask);
  CHECK(v.slot == 16383);
  CHECK(v.at == address{"node-3.example", 7000});
  CHECK(judge("MOVED 1 2001:db8::1:6381").at == address{"2001:db8::1", 6381});
  CHECK(judge("MOVED 1 :6381").at == address{"", 6381});
  CHECK(judge("MOVED 1 ?:6381").at == address{"", 6381});
  for (const auto* text : {"MOVED", "MOVED ", "MOVED 1", "MOVED 1 h",
                           "ASK x h:1", "MOVED 16384 h:1", "MOVED 1 h:0",
                           "MOVED 1 h:65536", "MOVED 1 h:x", "MOVED a:1 h"}) {
    INFO(text);
    CHECK(judge(text).what == kind::relocate);
  }
}
