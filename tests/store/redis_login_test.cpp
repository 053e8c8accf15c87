#include "tests/net/certificates.hpp"
#include "tests/store/redis_support.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::testing;
using troupe::net::testing::identity;
using troupe::net::testing::make_identity;
using troupe::net::testing::scratch;

namespace {

std::string refusal(const std::string& url) {
  client_options how;
  how.connect_timeout = 60s;  // it is over long before
  const auto begin = std::chrono::steady_clock::now();
  auto got = try_open(url, how);
  REQUIRE_FALSE(got.has_value());
  // Refused for good, it is not tried again.
  CHECK(std::chrono::steady_clock::now() - begin < 50s);
  return to_string(got.error());
}

bool has(const std::string& text, std::string_view part) {
  INFO(text);
  CHECK(text.find(part) != text.npos);
  return text.find(part) != text.npos;
}

/// An authority with what it signed, as files.
class authority {
 public:
  authority() : root_{make_identity({.name = "root", .authority = true})} {
    root_.save(dir_ / "ca.pem", dir_ / "ca.key");
    sign("server", "DNS:localhost,IP:127.0.0.1");
    sign("client", "");
    make_identity({.name = "other", .authority = true})
        .save(dir_ / "other.pem", dir_ / "other.key");
  }
  std::string file(const std::string& name) const { return dir_ / name; }
  redis_server::settings server() const {
    return {.tls_ca = file("ca.pem"),
            .tls_certificate = file("server.pem"),
            .tls_key = file("server.key")};
  }

 private:
  void sign(const std::string& name, const std::string& alternatives) {
    make_identity({.name = name, .alternatives = alternatives}, &root_)
        .save(dir_ / (name + ".pem"), dir_ / (name + ".key"), &root_);
  }

  scratch dir_;
  identity root_;
};

}  // namespace

TEST_CASE(
    "Redis: the password opens, a wrong one is refused and not repeated") {
  if (!have_redis())
    return;
  redis_server server{{.password = "correct horse"}};
  const auto at = server.place();
  const auto c = open_at("redis://:correct%20horse@" + at);
  CHECK(said(run(*c, "k", {"PING"})) == "PONG");
  CHECK(c->where() == "redis://" + at);
  open_at("redis://default:correct%20horse@" + at);

  for (const auto* login :
       {":WRONGSECRET@", "default:WRONGSECRET@", "WRONGUSER:WRONGSECRET@"}) {
    const auto why = refusal("redis://" + std::string{login} + at);
    has(why, at);
    has(why, "WRONGPASS");
    CHECK(why.find("SECRET") == std::string::npos);
  }
  has(refusal("redis://" + at), "wants a password");
}

TEST_CASE("Redis: a password that the server does not want is not repeated") {
  if (!have_redis())
    return;
  redis_server server;
  const auto why = refusal("redis://:TOPSECRET@" + server.place());
  has(why, "refused the login");
  CHECK(why.find("TOPSECRET") == std::string::npos);
  // A server that repeats the arguments of what it does not know.
  redis_server old{{.lines = {"rename-command AUTH \"\""}}};
  const auto quoted = refusal("redis://USERNAME:TOPSECRET@" + old.place());
  has(quoted, "unknown command");
  CHECK(quoted.find("TOPSECRET") == std::string::npos);
  CHECK(quoted.find("USERNAME") == std::string::npos);
}

TEST_CASE("Redis: an ACL user may do what it may, and hears what it may not") {
  if (!have_redis())
    return;
  redis_server server{
      {.lines = {"user bot on >bot-secret ~troupe:* +eval +evalsha +hincrby"}}};
  // Neither CLIENT nor ROLE nor PING is allowed to it.
  const auto c = open_at("redis://bot:bot-secret@" + server.place());
  CHECK(said(eval(*c, mark(), {"troupe:{x}"}, {1})) == "1");
  const auto got = run(*c, "k", {"GET", "k"});
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == errc::unavailable);
  CHECK(got.error().context.find("NOPERM") != std::string::npos);
}

TEST_CASE("Redis: a changed password is told to those that wait") {
  if (!have_redis())
    return;
  redis_server server{{.lines = {"user bot on >first ~* +@all"}}};
  const auto c = open_at("redis://bot:first@" + server.place());
  server.ask({"ACL", "SETUSER", "bot", "resetpass", ">second"});
  server.ask({"CLIENT", "KILL", "USER", "bot"});
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  const auto got = run(*c, "k", {"PING"}, {.timeout = 500ms});
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == errc::unavailable);
  has(got.error().context, "WRONGPASS");
  server.ask({"ACL", "SETUSER", "bot", ">first"});
  CHECK(said(run(*c, "k", {"PING"})) == "PONG");
}

TEST_CASE("Redis: what is no primary is not used") {
  if (!have_redis())
    return;
  redis_server primary;
  redis_server replica{
      {.lines = {"replicaof 127.0.0.1 " + std::to_string(primary.port())}}};
  client_options soon;
  soon.connect_timeout = 500ms;
  const auto got = try_open(replica.url(), soon);
  REQUIRE_FALSE(got.has_value());
  has(got.error().context, "is a replica");

  redis_server sentinel{{.sentinel = {"sentinel monitor main 127.0.0.1 " +
                                      std::to_string(primary.port()) + " 1"}}};
  has(refusal(sentinel.url()), "redis+sentinel");

  redis_cluster cluster{1};
  const auto c = open_at(cluster.node(0).url());
  CHECK(said(run(*c, "k", {"PING"})) == "PONG");
}

TEST_CASE("Redis: a primary that becomes a replica is left, and asked again") {
  if (!have_redis())
    return;
  redis_server server, other;
  const auto c = open_at(server.url());
  run(*c, "k", {"SET", "k", "1"});
  server.ask({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
  tally ends{1};
  c->run("k", {"SET", "k", "2"}, {.timeout = 100s}, ends.of(0));
  REQUIRE(eventually([&] { return c->now().connected == 0; }));
  CHECK(ends.answered() == 0);  // nothing was done, and it waits
  server.ask({"REPLICAOF", "NO", "ONE"});
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.at(0) == tally::ok);
  CHECK(server.ask({"GET", "k"}) == "2");
}

TEST_CASE("Redis over TLS: only a server that the CA knows is talked to") {
  if (!have_redis())
    return;
  const authority ca;
  redis_server server{ca.server()};
  const auto port = std::to_string(server.tls_port());
  const auto trusting = "?ca=" + ca.file("ca.pem");
  for (const auto* host : {"127.0.0.1", "localhost"}) {
    const auto c =
        open_at("rediss://" + std::string{host} + ":" + port + trusting);
    CHECK(said(run(*c, "k", {"PING"})) == "PONG");
    const auto body =
        std::make_shared<const std::string>(std::string(5'000'000, 'x'));
    const auto got = eval(*c, script{"return ARGV[1]"}, {"k"}, {body});
    CHECK(said(got) == *body);
  }
  open_at("rediss://127.0.0.1:" + port + "?verify=no");
  has(refusal("rediss://127.0.0.1:" + port), "TLS: ");
  has(refusal("rediss://127.0.0.1:" + port + "?ca=" + ca.file("other.pem")),
      "TLS: ");
  // Without TLS on the other side there is no handshake.
  client_options soon;
  soon.connect_timeout = 500ms;
  const auto plain =
      try_open("rediss://" + server.place() + "?verify=no", soon);
  REQUIRE_FALSE(plain.has_value());
  has(plain.error().context, "TLS");
  const auto missing = try_open("rediss://h?ca=/no/such/file");
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == errc::bad_input);
}

TEST_CASE("Redis over TLS: a client certificate is shown to who wants one") {
  if (!have_redis())
    return;
  const authority ca;
  auto how = ca.server();
  how.tls_clients = true;
  redis_server server{how};
  const auto url = "rediss://localhost:" + std::to_string(server.tls_port()) +
                   "?ca=" + ca.file("ca.pem");
  const auto c = open_at(url + "&cert=" + ca.file("client.pem") +
                         "&key=" + ca.file("client.key"));
  CHECK(said(run(*c, "k", {"PING"})) == "PONG");
  has(refusal(url), "certificate");
  has(refusal(url + "&cert=" + ca.file("other.pem") +
              "&key=" + ca.file("other.key")),
      "localhost:");
}

TEST_CASE("Redis over TLS: a killed server costs no more than without") {
  if (!have_redis())
    return;
  const authority ca;
  auto how = ca.server();
  how.append_only = true;
  how.lines = {"appendfsync always"};
  redis_server server{how};
  const auto c =
      open_at("rediss://localhost:" + std::to_string(server.tls_port()) +
              "?ca=" + ca.file("ca.pem"));
  constexpr std::size_t calls = 5'000;
  tally ends{calls};
  for (std::size_t i = 0; i < calls; ++i) {
    c->eval(mark(), {"marks"}, {i}, {.timeout = 100s}, ends.of(i));
    if (i == calls / 2) {
      eventually([&] { return ends.answered() > calls / 4; });
      server.kill();
      server.restart();
    }
  }
  REQUIRE(eventually([&] { return ends.complete(); }));
  CHECK(ends.twice() == 0);
  CHECK(ends.count(tally::ok) >= calls / 2);
  std::size_t broken = 0;
  for (std::size_t i = 0; i < calls; ++i) {
    const auto times = server.ask({"HGET", "marks", std::to_string(i)});
    broken += (ends.at(i) == tally::ok && times != "1") ||
              (ends.at(i) == tally::unavailable && !times.empty()) ||
              (ends.at(i) == tally::unknown && times != "1" && !times.empty());
  }
  CHECK(broken == 0);
}
