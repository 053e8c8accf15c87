#include "store/redis_greeting.hpp"

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using status = greeting::status;

namespace {

greeting::terms logged_in() {
  greeting::terms t;
  t.user = "bot";
  t.password = "SECRET";
  t.name = "me";
  t.db = 2;
  return t;
}

std::string wire(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const auto& word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return out;
}

const std::string master = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";

greeting::failure refusal(greeting::terms what, std::string_view bytes) {
  greeting g{std::move(what)};
  INFO(bytes);
  REQUIRE(g.feed(bytes) == status::failed);
  CHECK(g.reason().why.find("SECRET") == std::string::npos);
  return g.reason();
}

}  // namespace

TEST_CASE("a greeting says who, where and what for, in one flight") {
  greeting g{logged_in()};
  CHECK(g.bytes() ==
        wire({"AUTH", "bot", "SECRET"}) + wire({"CLIENT", "SETNAME", "me"}) +
            wire({"SELECT", "2"}) + wire({"ROLE"}) + wire({"PING"}));
  CHECK(g.feed("+OK\r\n+OK\r\n+OK\r\n" + master) == status::more);
  CHECK(g.feed("+PO") == status::more);
  CHECK(g.feed("NG\r\n") == status::done);
}

TEST_CASE("a greeting leaves out what is not wanted") {
  greeting::terms t;
  t.name = "me";
  CHECK(greeting{t}.bytes() ==
        wire({"CLIENT", "SETNAME", "me"}) + wire({"ROLE"}) + wire({"PING"}));
  t.password = "p";
  t.any_role = true;
  t.question = {"CLUSTER", "SLOTS"};
  greeting g{t};
  CHECK(g.bytes() == wire({"AUTH", "p"}) + wire({"CLIENT", "SETNAME", "me"}) +
                         wire({"CLUSTER", "SLOTS"}));
  CHECK(g.feed("+OK\r\n-ERR unknown subcommand\r\n*1\r\n:5\r\n") ==
        status::done);
  CHECK(g.answer().items.at(0).number == 5);
}

TEST_CASE("G12: a refused login is told without the password") {
  auto r = refusal(logged_in(), "-WRONGPASS invalid\r\n-NOAUTH x\r\n");
  CHECK(r.why == "it refused the login: WRONGPASS invalid");
  CHECK(r.lasting);
  r = refusal(logged_in(),
              "-ERR unknown command 'AUTH', with args beginning with: 'bot' "
              "'SECRET'\r\n");
  CHECK(r.why.find("'***' '***'") != std::string::npos);
  CHECK(r.why.find("bot") == std::string::npos);
  auto nobody = logged_in();
  nobody.password.reset();
  CHECK(refusal(nobody, "-NOAUTH Authentication required.\r\n").lasting);
}

TEST_CASE("a server that is not ready is asked again, a wrong one is not") {
  const std::string before = "+OK\r\n+OK\r\n+OK\r\n";
  CHECK_FALSE(refusal(logged_in(), before + master + "-LOADING x\r\n").lasting);
  CHECK_FALSE(refusal(logged_in(), before + master + "-BUSY x\r\n").lasting);
  CHECK_FALSE(
      refusal(logged_in(), "-ERR max number of clients reached\r\n").lasting);
  CHECK_FALSE(refusal(logged_in(), before + "*1\r\n$5\r\nslave\r\n").lasting);
  CHECK(refusal(logged_in(), before + "*1\r\n$8\r\nsentinel\r\n").lasting);
  CHECK(refusal(logged_in(), "-DENIED protected mode\r\n").lasting);
  CHECK(refusal(logged_in(), "+OK\r\n+OK\r\n-ERR DB index is out of range\r\n")
            .lasting);
  CHECK(refusal(logged_in(), "HTTP/1.1 400 Bad Request\r\n")
            .why.find("no Redis server") != std::string::npos);
}

TEST_CASE("what an ACL forbids in a greeting is done without") {
  greeting g{logged_in()};
  CHECK(g.feed("+OK\r\n-NOPERM x\r\n+OK\r\n-NOPERM x\r\n-NOPERM x\r\n") ==
        status::done);
  // Nor does a full disk keep anybody from reading.
  greeting h{logged_in()};
  CHECK(h.feed("+OK\r\n+OK\r\n+OK\r\n" + master + "-MISCONF x\r\n") ==
        status::done);
}
