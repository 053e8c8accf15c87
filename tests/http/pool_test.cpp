#include "http/pool.hpp"

#include <random>
#include <string>

#include "http/client.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace std::chrono_literals;

namespace {

using pool_type = pool<int, int>;

const mono_time t0{1h};
const mono_time later = t0 + 10s;

/// Actions as text: `open`, or `call@connection`.
std::string all(pool_type& p) {
  std::string out;
  while (auto act = p.next()) {
    if (!out.empty())
      out += " ";
    if (const auto* s = std::get_if<pool_type::start>(&*act))
      out += std::to_string(s->what) + "@" + std::to_string(s->on);
    else
      out += "open";
  }
  return out;
}

}  // namespace

TEST_CASE("a call opens a connection, and a free one is used again") {
  pool_type p{{.connections = 4, .opening = 4}};
  p.submit(1, later);
  CHECK(all(p) == "open");
  CHECK(all(p).empty());
  p.opened(10);
  CHECK(all(p) == "1@10");
  p.submit(2, later);
  CHECK(all(p) == "open");
  p.freed(10);
  CHECK(all(p) == "2@10");
  p.opened(11);
  CHECK(all(p).empty());
  CHECK(p.connections() == 2);
}

TEST_CASE("calls over the limit of connections wait in order") {
  pool_type p{{.connections = 2, .opening = 8}};
  for (int i = 1; i <= 4; ++i)
    p.submit(i, later);
  CHECK(all(p) == "open open");
  p.opened(10);
  p.opened(11);
  CHECK(all(p) == "1@11 2@10");
  CHECK(p.waiting() == 2);
  p.freed(11);
  CHECK(all(p) == "3@11");
  p.lost_busy();
  CHECK(all(p) == "open");
}

TEST_CASE("the connection that was used last is used next") {
  pool_type p{{.connections = 3, .opening = 3}};
  for (int i = 1; i <= 3; ++i)
    p.submit(i, later);
  all(p);
  for (const int c : {10, 11, 12})
    p.opened(c);
  all(p);
  p.freed(11);
  p.freed(10);
  p.freed(12);
  p.submit(4, later);
  CHECK(all(p) == "4@12");
  p.lost_idle(10);
  p.submit(5, later);
  CHECK(all(p) == "5@11");
  CHECK(p.connections() == 2);
}

TEST_CASE("a burst does not open more connections at once than allowed") {
  pool_type p{{.connections = 100, .opening = 2}};
  for (int i = 1; i <= 5; ++i)
    p.submit(i, later);
  CHECK(all(p) == "open open");
  p.opened(10);
  CHECK(all(p) == "1@10 open");
}

TEST_CASE("a failed attempt fails one call, unless others cover all who wait") {
  pool_type p{{.connections = 8, .opening = 8}};
  p.submit(1, later);
  p.submit(2, later);
  CHECK(all(p) == "open open");
  CHECK(p.open_failed() == 1);
  CHECK(all(p).empty());
  CHECK(p.open_failed() == 2);
  CHECK(p.connections() == 0);

  p.submit(3, later);
  CHECK(all(p) == "open");
  p.opened(10);
  CHECK(all(p) == "3@10");
  p.submit(4, later);
  CHECK(all(p) == "open");
  p.freed(10);
  CHECK(all(p) == "4@10");
  CHECK(p.open_failed() == std::nullopt);
}

TEST_CASE("a call that has waited too long is given back") {
  pool_type p{{.connections = 1, .opening = 1}};
  p.submit(1, t0 + 1s);
  p.submit(2, t0 + 2s);
  p.submit(3, t0 + 1500ms, true);
  p.submit(4, t0 + 1100ms);  // before the one that came before it
  CHECK(p.expired(t0).empty());
  CHECK(p.expired(t0 + 1600ms) == std::vector{1, 4, 3});
  CHECK(p.expired(t0 + 1600ms).empty());
  CHECK(p.dropped() == 2);
  CHECK(p.dropped() == std::nullopt);
}

TEST_CASE("a second attempt takes a new connection, never a pooled one") {
  pool_type p{{.connections = 4, .opening = 4}};
  p.submit(1, later);
  p.submit(2, later);
  all(p);
  p.opened(10);
  p.opened(11);
  all(p);
  p.freed(10);
  p.lost_busy();  // 11 was stale
  p.submit(2, later, true);
  CHECK(all(p) == "open");
  p.opened(12);
  CHECK(all(p) == "2@12");
}

TEST_CASE("whatever happens, no call is lost and no limit broken") {
  std::mt19937 random{2026};
  for (int run = 0; run < 50; ++run) {
    pool_type p{{.connections = 5, .opening = 3}};
    std::vector<int> busy, idle;
    int submitted = 0, ended = 0, opening = 0, started = 0, next_conn = 0;
    const auto act = [&] {
      while (auto a = p.next()) {
        if (auto* s = std::get_if<pool_type::start>(&*a)) {
          std::erase(idle, s->on);
          REQUIRE(std::count(busy.begin(), busy.end(), s->on) == 0);
          busy.push_back(s->on);
          ++started;
        } else {
          ++opening;
        }
      }
      REQUIRE(opening <= 3);
      REQUIRE(opening + busy.size() + idle.size() <= 5);
      REQUIRE(p.connections() == opening + busy.size() + idle.size());
      // Nobody waits while somebody could work.
      REQUIRE((p.waiting() == 0 || idle.empty()));
      REQUIRE((p.waiting() == 0 || opening > 0 || busy.size() == 5));
    };
    const auto take = [&](std::vector<int>& from) {
      const auto i = random() % from.size();
      const auto conn = from[i];
      from.erase(from.begin() + static_cast<std::ptrdiff_t>(i));
      return conn;
    };
    for (int step = 0; step < 400; ++step) {
      switch (random() % 6) {
        case 0:
        case 1: p.submit(++submitted, later); break;
        case 2:
          if (opening == 0)
            break;
          --opening;
          if (random() % 3 == 0) {
            if (p.open_failed())
              ++ended;
          } else {
            idle.push_back(++next_conn);
            p.opened(next_conn);
          }
          break;
        case 3:
          if (busy.empty())
            break;
          idle.push_back(take(busy));
          p.freed(idle.back());
          break;
        case 4:
          if (busy.empty())
            break;
          take(busy);
          p.lost_busy();
          break;
        case 5:
          if (!idle.empty())
            p.lost_idle(take(idle));
          break;
      }
      act();
    }
    REQUIRE(submitted == started + ended + static_cast<int>(p.waiting()));
  }
}

TEST_CASE("only what can do no harm is tried a second time") {
  const broken_call stale{.reused = true};
  CHECK(may_retry(stale));
  auto c = stale;
  c.sent = true;
  CHECK_FALSE(may_retry(c));
  c.idempotent = true;
  CHECK(may_retry(c));
  c.retried = true;
  CHECK_FALSE(may_retry(c));
  c = stale;
  c.answered = true;
  CHECK_FALSE(may_retry(c));
  c = stale;
  c.reused = false;
  CHECK_FALSE(may_retry(c));
}

TEST_CASE("an origin is taken apart") {
  const auto a = parse_origin("https://api.telegram.org").value();
  CHECK(a.tls);
  CHECK(a.host == "api.telegram.org");
  CHECK(a.port == 443);
  CHECK(a.prefix.empty());
  const auto b = parse_origin("HTTP://LocalHost:8081/root/x/").value();
  CHECK_FALSE(b.tls);
  CHECK(b.host == "localhost");
  CHECK(b.port == 8081);
  CHECK(b.prefix == "/root/x");
  const auto c = parse_origin("http://[::1]:80/").value();
  CHECK(c.host == "::1");
  CHECK(c.port == 80);
  CHECK(c.prefix.empty());
}

TEST_CASE("a URL that is no origin is refused without repeating its path") {
  for (const auto* url :
       {"", "api.telegram.org", "ftp://a/SECRET", "http://", "http:///SECRET",
        "http://a:0/SECRET", "http://a:65536/SECRET", "http://a:8x/SECRET",
        "http://a:/SECRET", "http://u:p@a/SECRET", "http://a/SECRET?q",
        "http://a/SECRET#f", "http://a b/SECRET", "http://a/SEC RET",
        "http://[::1/SECRET", "http://[::1]8/SECRET", "http://a\r\nb/SECRET",
        "http://a%00/SECRET"}) {
    const auto got = parse_origin(url);
    INFO(url);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::bad_input);
    CHECK(got.error().context.find("SEC") == std::string::npos);
  }
}
