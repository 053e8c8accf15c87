#include "store/redis_url.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::store::redis;

namespace {

target good(std::string_view url) {
  auto got = parse_url(url);
  INFO(url);
  if (!got)
    FAIL(to_string(got.error()));
  return *got;
}

std::string refusal(std::string_view url) {
  auto got = parse_url(url);
  INFO(url);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == errc::bad_input);
  return got.error().context;
}

}  // namespace

TEST_CASE("a Redis URL names host, port, login and database") {
  auto t = good("redis://cache.example");
  CHECK(t.kind == layout::single);
  CHECK_FALSE(t.tls);
  CHECK(t.hosts == std::vector<address>{{"cache.example", 6379}});
  CHECK(t.user.empty());
  CHECK_FALSE(t.password);
  CHECK(t.db == 0);
  CHECK(t.verify);
  CHECK_FALSE(t.timeout);

  t = good("redis://bot:p%40ss%2Fw%3Ard@10.0.0.7:7000/3?timeout_ms=250");
  CHECK(t.hosts == std::vector<address>{{"10.0.0.7", 7000}});
  CHECK(t.user == "bot");
  CHECK(t.password == "p@ss/w:rd");
  CHECK(t.db == 3);
  CHECK(t.timeout == milliseconds{250});

  t = good("redis://:only-a-password@h/");
  CHECK(t.user.empty());
  CHECK(t.password == "only-a-password");
  CHECK(t.db == 0);

  // What stands before the last @ is the login, encoded or not.
  CHECK(good("redis://u:a@b@h").password == "a@b");
  CHECK(good("redis://u:@h").password == "");
}

TEST_CASE("an IPv6 address of a Redis URL stands in brackets") {
  const auto t = good("redis://[2001:db8::1]:7000/1");
  CHECK(t.hosts == std::vector<address>{{"2001:db8::1", 7000}});
  CHECK(to_string(t.hosts[0]) == "[2001:db8::1]:7000");
  CHECK(good("redis://[::1]").hosts == std::vector<address>{{"::1", 6379}});
  CHECK(to_string(address{"h", 1}) == "h:1");
  for (const auto* url : {"redis://2001:db8::1", "redis://[::1", "redis://[]",
                          "redis://[::1]x", "redis://[host]", "redis://[::1]:"})
    refusal(url);
}

TEST_CASE("rediss takes CA, client certificate and verification") {
  const auto t =
      good("rediss://h?ca=/etc/my%20ca.pem&cert=/c.pem&key=/k.pem&verify=no");
  CHECK(t.tls);
  CHECK(t.ca_file == "/etc/my ca.pem");
  CHECK(t.cert_file == "/c.pem");
  CHECK(t.key_file == "/k.pem");
  CHECK_FALSE(t.verify);
  CHECK(good("rediss://h?verify=yes").verify);
  CHECK(refusal("redis://h?ca=/ca.pem").find("rediss") != std::string::npos);
  refusal("redis://h?verify=no");
  refusal("rediss://h?verify=maybe");
  refusal("rediss://h?cert=/c.pem");
  refusal("rediss://h?key=/c.pem");
  refusal("rediss://h?ca=");
}

TEST_CASE("Sentinels come with the primary's name and a login of their own") {
  auto t = good(
      "redis+sentinel://bot:secret@s1,s2:26380,[::2]/my%2Dmaster/2"
      "?sentinel_user=su&sentinel_password=s%26p");
  CHECK(t.kind == layout::sentinel);
  CHECK(t.hosts ==
        std::vector<address>{{"s1", 26379}, {"s2", 26380}, {"::2", 26379}});
  CHECK(t.master == "my-master");
  CHECK(t.db == 2);
  CHECK(t.user == "bot");
  CHECK(t.password == "secret");
  CHECK(t.sentinel_user == "su");
  CHECK(t.sentinel_password == "s&p");
  t = good("rediss+sentinel://s1/m");
  CHECK(t.tls);
  CHECK(t.db == 0);
  CHECK_FALSE(t.sentinel_password);
  CHECK(refusal("redis+sentinel://s1").find("name") != std::string::npos);
  refusal("redis+sentinel://s1/");
  refusal("redis+sentinel://s1/m?sentinel_user=u");
  refusal("redis://h?sentinel_password=p");
}

TEST_CASE("a cluster has several hosts and one database") {
  const auto t = good("redis+cluster://u:p@a,b:7001,c:7002/0");
  CHECK(t.kind == layout::cluster);
  CHECK(t.hosts == std::vector<address>{{"a", 6379}, {"b", 7001}, {"c", 7002}});
  CHECK(good("rediss+cluster://a").tls);
  CHECK(refusal("redis+cluster://a/1").find("only 0") != std::string::npos);
  CHECK(refusal("redis://a,b").find("several") != std::string::npos);
}

TEST_CASE("G12: a refused Redis URL is never repeated") {
  for (const auto* url : {"redis://u:SECRET",
                          "redis://u:SEC/RET@h",
                          "redis://u:SECRET@h:port",
                          "redis://u:SECRET@h:0",
                          "redis://u:SECRET@h:65536",
                          "redis://u:SECRET@h/SECRET",
                          "redis://u:SECRET@h/-1",
                          "redis://u:SEC%zzRET@h",
                          "redis://u:SECRET%4@h",
                          "redis://SECRET@h",
                          "redis://u:SEC?RET=SECRET@h",
                          "redis://u:SECRET@h?SECRET=SECRET",
                          "redis://u:SECRET@h?timeout_ms=SECRET",
                          "redis://u:SECRET@",
                          "redis://u:SECRET@h#SECRET",
                          "redis://u:SEC#RET@h",
                          "redis://u:SECRET@h,,x",
                          "redis+cluster://u:SECRET@h,",
                          "http://SECRET",
                          "redis:SECRET",
                          "SECRET",
                          "",
                          "redis://",
                          "redis:///1",
                          "redis+sentinel://u:SECRET@h/%",
                          "redis://u:SECRET@h o",
                          "redis://h?timeout_ms=0",
                          "redis://h?timeout_ms=600001"}) {
    const auto why = refusal(url);
    INFO(url << ": " << why);
    CHECK(why.find("SECRET") == std::string::npos);
    CHECK(why.find("RET") == std::string::npos);
    CHECK(why.size() > 20);
  }
}

TEST_CASE("a Redis URL is known by its scheme") {
  CHECK(is_redis_url("redis://x"));
  CHECK(is_redis_url("rediss+cluster://"));
  CHECK_FALSE(is_redis_url("sqlite:redis://x"));
  CHECK_FALSE(is_redis_url("redis:"));
  CHECK_FALSE(is_redis_url("memory:"));
}
