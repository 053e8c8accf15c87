#include "net/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/error.hpp>
#include <memory>
#include <string>
#include <utility>

#include "tests/net/certificates.hpp"

using namespace troupe;
using namespace troupe::net;
using namespace troupe::net::testing;

namespace {

using context = boost::asio::ssl::context;

context good(result<context> made) {
  if (!made)
    FAIL(to_string(made.error()));
  return std::move(*made);
}

/// What is wrong with it.
std::string refusal(const result<context>& made) {
  REQUIRE(made.has_error());
  CHECK(made.error().code == errc::bad_input);
  return made.error().context;
}

bool says(const std::string& text, std::string_view words) {
  INFO(text);
  CHECK(text.find(words) != text.npos);
  return text.find(words) != text.npos;
}

/// A client and a server that share memory instead of a network.
struct meeting {
  using side = std::unique_ptr<SSL, decltype(&SSL_free)>;
  side client, server;

  meeting(context& calls, context& answers)
      : client{SSL_new(calls.native_handle()), SSL_free},
        server{SSL_new(answers.native_handle()), SSL_free} {
    BIO *here = nullptr, *there = nullptr;
    REQUIRE(BIO_new_bio_pair(&here, 0, &there, 0) == 1);
    SSL_set_bio(client.get(), here, here);
    SSL_set_bio(server.get(), there, there);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
  }
  ~meeting() { ERR_clear_error(); }
  meeting(const meeting&) = delete;
  meeting& operator=(const meeting&) = delete;

  /// True if both sides are content with each other.
  bool shake_hands() {
    int called = 0, answered = 0;
    for (int i = 0; i < 20 && called + answered < 2; ++i) {
      called = SSL_do_handshake(client.get());
      answered = SSL_do_handshake(server.get());
    }
    return called == 1 && answered == 1;
  }

  /// Why the client refused `host`, or "".
  std::string refusal_of(const std::string& host) {
    REQUIRE(expect_peer(client.get(), host).has_value());
    return shake_hands()
               ? ""
               : handshake_failure(client.get(), boost::asio::error::eof);
  }

  /// The name by which the server was asked for.
  std::string asked_for() {
    const char* name =
        SSL_get_servername(server.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "" : name;
  }
};

}  // namespace

TEST_CASE("TLS 1.2 is the least, whatever the machine's policy allows") {
  authorities world;
  const auto files = world.good();
  auto server = good(make_server_tls(files.chain, files.key));
  auto client = good(make_client_tls(world.ca(), true));
  for (SSL_CTX* each : {server.native_handle(), client.native_handle()})
    CHECK(SSL_CTX_get_min_proto_version(each) == TLS1_2_VERSION);
}

TEST_CASE("a client takes only the certificate of the host it asked for") {
  authorities world;
  const auto files = world.good();
  auto server = good(make_server_tls(files.chain, files.key));
  auto client = good(make_client_tls(world.ca(), true));
  for (const auto* host : {"localhost", "127.0.0.1"})
    CHECK(meeting(client, server).refusal_of(host).empty());
  says(meeting(client, server).refusal_of("other.test"), "hostname mismatch");
  says(meeting(client, server).refusal_of("127.0.0.2"), "IP address mismatch");
  auto stranger = good(make_client_tls("", true));
  says(meeting(stranger, server).refusal_of("localhost"), "issuer");
  auto careless = good(make_client_tls("", false));
  CHECK(meeting(careless, server).refusal_of("other.test").empty());
}

TEST_CASE("a server is asked for by its name, but never by an address") {
  authorities world;
  const auto files = world.good();
  auto server = good(make_server_tls(files.chain, files.key));
  auto client = good(make_client_tls(world.ca(), true));
  meeting named{client, server}, numbered{client, server};
  CHECK(named.refusal_of("localhost").empty());
  CHECK(named.asked_for() == "localhost");
  CHECK(numbered.refusal_of("127.0.0.1").empty());
  CHECK(numbered.asked_for().empty());
  // Longer than any name of the DNS, and than OpenSSL takes.
  const auto endless = expect_peer(named.client.get(), std::string(256, 'a'));
  REQUIRE(endless.has_error());
  CHECK(endless.error().code == errc::unavailable);
}

TEST_CASE("what no certificate is to blame for is told as it is") {
  authorities world;
  const auto files = world.good();
  auto server = good(make_server_tls(files.chain, files.key));
  auto client = good(make_client_tls(world.ca(), true));
  const boost::system::error_code eof = boost::asio::error::eof;
  meeting broken{client, server};
  REQUIRE(expect_peer(broken.client.get(), "localhost").has_value());
  CHECK(handshake_failure(broken.client.get(), eof) == eof.message());
  // Nobody looked at the certificate, so it can't be the cause.
  auto careless = good(make_client_tls("", false));
  meeting blind{careless, server};
  CHECK(blind.refusal_of("other.test").empty());
  CHECK(SSL_get_verify_result(blind.client.get()) != X509_V_OK);
  CHECK(handshake_failure(blind.client.get(), eof) == eof.message());
}

TEST_CASE("a client shows its certificate to a server that wants one") {
  authorities world;
  const auto files = world.good();
  const auto mine = world.issue({.name = "me"});
  auto server = good(make_server_tls(files.chain, files.key));
  server.load_verify_file(world.ca());
  server.set_verify_mode(boost::asio::ssl::verify_peer |
                         boost::asio::ssl::verify_fail_if_no_peer_cert);
  auto known = good(make_client_tls(world.ca(), true, mine.chain, mine.key));
  meeting welcome{known, server};
  CHECK(welcome.shake_hands());
  char name[16] = {};
  X509_NAME_get_text_by_NID(
      X509_get_subject_name(SSL_get0_peer_certificate(welcome.server.get())),
      NID_commonName, name, sizeof name);
  CHECK(name == std::string{"me"});
  auto nameless = good(make_client_tls(world.ca(), true));
  CHECK_FALSE(meeting(nameless, server).shake_hands());
  const auto forged = world.self_signed({.name = "me"});
  auto liar = good(make_client_tls(world.ca(), true, forged.chain, forged.key));
  CHECK_FALSE(meeting(liar, server).shake_hands());
}

TEST_CASE("a certificate or key that can't be used is named, on either side") {
  authorities world;
  const auto mine = world.issue({.name = "me"});
  const auto other = world.issue({.name = "other"});
  const auto none = world.dir() / "none.pem";
  const auto client = [&](const std::string& chain, const std::string& key) {
    return make_client_tls(world.ca(), true, chain, key);
  };
  for (const auto& made :
       {client(mine.chain, other.key), make_server_tls(mine.chain, other.key)})
    says(refusal(made), "key file " + other.key);
  for (const auto& made :
       {client(none, mine.key), make_server_tls(none, mine.key)})
    says(refusal(made), "certificate file " + none);
  for (const auto& made :
       {client(mine.chain, none), make_server_tls(mine.chain, none)})
    says(refusal(made), "key file " + none);
  says(refusal(client(mine.chain, "")),
       "certificate file " + mine.chain + ": its key is missing");
  says(refusal(client("", mine.key)),
       "key file " + mine.key + ": its certificate is missing");
  says(refusal(make_client_tls(none, true)), "CA file " + none);
}
