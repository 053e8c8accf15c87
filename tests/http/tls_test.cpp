#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/http/support.hpp"
#include "tests/net/certificates.hpp"
#include "tests/net/raw.hpp"

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::testing;

namespace {

/// The options of servers with certificates that one world vouches for.
class world : public authorities {
 public:
  server_options with(const certificate_options& how) { return of(issue(how)); }
  server_options lonely(const certificate_options& how) {
    return of(self_signed(how));
  }
  server_options good() { return of(authorities::good()); }

 private:
  static server_options of(const files& saved) {
    server_options how;
    how.certificate_file = saved.chain;
    how.key_file = saved.key;
    return how;
  }
};

std::unique_ptr<client> tls_client(net::loop& on, std::uint16_t port,
                                   client_options how,
                                   std::string host = "localhost") {
  origin to;
  to.tls = true;
  to.host = std::move(host);
  to.port = port;
  auto made = client::make(on, std::move(to), std::move(how));
  if (!made)
    FAIL(to_string(made.error()));
  return std::move(*made);
}

/// Calls a server with these options. @returns why it failed, or "".
std::string refusal(const server_options& how, const std::string& ca,
                    std::string host = "localhost") {
  net::loop there, here;
  std::atomic<int> handled{0};
  auto server = serve(
      there,
      [&](request&& what, const responder& answer) {
        ++handled;
        echo(std::move(what), answer);
      },
      how);
  client_options options;
  options.ca_file = ca;
  auto client = tls_client(here, server->port(), options, std::move(host));
  const auto got = call(*client, post("/SECRET", "SECRET"));
  if (got.has_value())
    return "";
  CHECK_FALSE(got.error().maybe_sent);
  CHECK(got.error().what.context.find("SECRET") == std::string::npos);
  CHECK(handled == 0);
  return got.error().what.context;
}

bool says(const std::string& text, std::string_view word) {
  INFO(text);
  CHECK(text.find(word) != text.npos);
  return text.find(word) != text.npos;
}

using ssl_ctx = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using ssl_ptr = std::unique_ptr<SSL, decltype(&SSL_free)>;

/// A connected blocking socket of our own with what OpenSSL makes of it.
struct plain_tls {
  ssl_ctx context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  ssl_ptr ssl{nullptr, SSL_free};
  int fd = -1;

  explicit plain_tls(std::uint16_t port, int version = TLS1_3_VERSION) {
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval wait{60, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    ssl.reset(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
  }
  ~plain_tls() {
    ERR_clear_error();
    ::close(fd);
  }
  plain_tls(const plain_tls&) = delete;
  plain_tls& operator=(const plain_tls&) = delete;
};

}  // namespace

TEST_CASE("HTTPS goes there and back, on one kept connection") {
  world w;
  net::loop there, here;
  auto server = serve(there, echo, w.good());
  client_options how;
  how.ca_file = w.ca();
  for (const auto* host : {"localhost", "127.0.0.1"}) {
    auto client = tls_client(here, server->port(), how, host);
    for (int i = 0; i < 20; ++i) {
      const auto got = call(*client, post("/" + std::to_string(i), "hello"));
      if (!got)
        FAIL(to_string(got.error().what));
      CHECK(got->body == "POST /" + std::to_string(i) + " hello");
    }
    CHECK(server->connections() == 1);
    client->close();
    CHECK(eventually([&] { return server->connections() == 0; }));
  }
}

TEST_CASE("ten megabytes go there and back over TLS") {
  world w;
  net::loop there, here;
  auto how = w.good();
  how.max_body = 16 << 20;
  auto server = serve(there, echo, how);
  client_options options;
  options.ca_file = w.ca();
  auto client = tls_client(here, server->port(), options);
  const std::string body(10 << 20, 'x');
  const auto got = call(*client, post("/", body));
  REQUIRE(got.has_value());
  CHECK((got->body == "POST / " + body));
  CHECK(call(*client, get("/"))->body == "GET / ");
}

TEST_CASE("a refused request over TLS gets its status, and the cause") {
  world w;
  net::loop there, here;
  auto server = serve(there, echo, w.good());
  client_options how;
  how.ca_file = w.ca();
  auto client = tls_client(here, server->port(), how);
  const auto got = call(*client, post("/", std::string(5 << 20, 'x')));
  REQUIRE(got.has_value());
  CHECK(got->status == 413);
  CHECK(call(*client, post("/", "x"))->status == 200);
}

TEST_CASE("a certificate for another host is refused before anything is sent") {
  world w;
  CHECK(refusal(w.good(), w.ca()).empty());
  const auto other = w.with(
      {.name = "localhost", .alternatives = "DNS:other.test,IP:127.0.0.2"});
  says(refusal(other, w.ca()), "hostname mismatch");
  says(refusal(other, w.ca(), "127.0.0.1"), "IP address mismatch");
}

TEST_CASE("a certificate that nobody vouches for is refused") {
  world w;
  const certificate_options mine{.name = "localhost",
                                 .alternatives = "DNS:localhost"};
  says(refusal(w.lonely(mine), w.ca()), "self-signed certificate");
  says(refusal(w.good(), ""), "issuer certificate");  // the system's CAs
}

TEST_CASE("a certificate out of its time is refused") {
  world w;
  says(refusal(w.with({.name = "old",
                       .alternatives = "DNS:localhost",
                       .starts_in = -7200,
                       .ends_in = -3600}),
               w.ca()),
       "expired");
  says(refusal(w.with({.name = "early",
                       .alternatives = "DNS:localhost",
                       .starts_in = 3600,
                       .ends_in = 7200}),
               w.ca()),
       "not yet valid");
}

TEST_CASE("verification can be turned off, for tests only") {
  world w;
  net::loop on;
  auto server = serve(on, echo, w.lonely({.name = "x"}));
  client_options how;
  how.verify = false;
  auto client = tls_client(on, server->port(), how);
  CHECK(call(*client, get("/")).has_value());
}

TEST_CASE("the server is told the name, but never an address") {
  world w;
  const auto options = w.good();
  ssl_ctx context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  SSL_CTX_use_certificate_chain_file(context.get(),
                                     options.certificate_file.c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), options.key_file.c_str(),
                              SSL_FILETYPE_PEM);
  std::promise<std::string> names[2];
  raw_server tls{[&](raw_socket& peer, int n) {
    ssl_ptr ssl{SSL_new(context.get()), SSL_free};
    SSL_set_fd(ssl.get(), peer.fd());
    std::string name = "(no handshake)";
    if (SSL_accept(ssl.get()) == 1) {
      const char* got =
          SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
      name = got == nullptr ? "" : got;
    }
    names[n - 1].set_value(name);
    ERR_clear_error();
  }};
  net::loop on;
  client_options how;
  how.ca_file = w.ca();
  CHECK(call(*tls_client(on, tls.port(), how), get("/")).has_error());
  CHECK(names[0].get_future().get() == "localhost");
  CHECK(call(*tls_client(on, tls.port(), how, "127.0.0.1"), get("/"))
            .has_error());
  CHECK(names[1].get_future().get().empty());
}

TEST_CASE("TLS below 1.2 is refused, 1.2 is not") {
  world w;
  net::loop on;
  std::atomic<int> rejected{0};
  auto how = w.good();
  how.on_reject = [&](unsigned status) { rejected += status == 0 ? 1 : 100; };
  auto server = serve(on, echo, how);
  {
    plain_tls old{server->port(), TLS1_1_VERSION};
    CHECK(SSL_connect(old.ssl.get()) != 1);
  }
  CHECK(eventually([&] { return rejected == 1; }));
  plain_tls fine{server->port(), TLS1_2_VERSION};
  CHECK(SSL_connect(fine.ssl.get()) == 1);
}

TEST_CASE("plain HTTP to the TLS port is dropped and counted") {
  world w;
  net::loop on;
  std::atomic<int> rejected{0};
  auto how = w.good();
  how.on_reject = [&](unsigned) { ++rejected; };
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  peer.rest();
  CHECK(eventually([&] { return server->connections() == 0; }));
  CHECK(rejected == 1);
}

TEST_CASE("TLS to a plain port was certainly not sent") {
  world w;
  net::loop on;
  auto server = serve(on, echo);
  client_options how;
  how.ca_file = w.ca();
  auto client = tls_client(on, server->port(), how);
  const auto got = call(*client, post("/", "x"));
  REQUIRE(got.has_error());
  CHECK_FALSE(got.error().maybe_sent);
  CHECK(got.error().what.code == errc::unavailable);
}

TEST_CASE("a handshake that never ends is dropped, on either side") {
  world w;
  net::loop on;
  std::atomic<int> rejected{0};
  auto how = w.good();
  how.header_timeout = 200ms;
  how.on_reject = [&](unsigned) { ++rejected; };
  auto server = serve(on, echo, how);
  auto peer = raw_socket::connect_to(server->port());
  peer.send("\x16\x03\x01");
  peer.rest();
  CHECK(eventually([&] { return rejected == 1; }));

  raw_server quiet{[](raw_socket& to, int) { to.rest(); }};
  client_options options;
  options.ca_file = w.ca();
  options.connect_timeout = 200ms;
  auto client = tls_client(on, quiet.port(), options);
  const auto got = call(*client, post("/", "x"));
  REQUIRE(got.has_error());
  CHECK_FALSE(got.error().maybe_sent);
  CHECK(got.error().what.code == errc::timed_out);
}

TEST_CASE("a request cut off inside a TLS record is never handed on") {
  world w;
  net::loop on;
  std::atomic<int> handled{0};
  auto server = serve(
      on,
      [&](request&&, const responder& answer) {
        ++handled;
        answer({});
      },
      w.good());
  for (const bool whole_record : {false, true}) {
    plain_tls peer{server->port()};
    REQUIRE(SSL_connect(peer.ssl.get()) == 1);
    if (whole_record) {  // no close_notify, half a request
      const std::string half = "POST / HTTP/1.1\r\nHost: a\r\nContent-Le";
      SSL_write(peer.ssl.get(), half.data(), static_cast<int>(half.size()));
    } else {  // a record of 64 bytes of which three come
      const std::string cut{"\x17\x03\x03\x00\x40\x01\x02\x03", 8};
      CHECK(::send(peer.fd, cut.data(), cut.size(), MSG_NOSIGNAL) == 8);
    }
  }
  CHECK(eventually([&] { return server->connections() == 0; }));
  CHECK(handled == 0);
  // A damaged record ends its connection, not the server.
  plain_tls peer{server->port()};
  REQUIRE(SSL_connect(peer.ssl.get()) == 1);
  const std::string junk{"\x17\x03\x03\x00\x20" + std::string(32, 'x')};
  CHECK(::send(peer.fd, junk.data(), junk.size(), MSG_NOSIGNAL) > 0);
  CHECK(eventually([&] { return server->connections() == 0; }));
}

TEST_CASE("an answer without a length that TLS did not end is not whole") {
  world w;
  const auto options = w.good();
  ssl_ctx context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  SSL_CTX_use_certificate_chain_file(context.get(),
                                     options.certificate_file.c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), options.key_file.c_str(),
                              SSL_FILETYPE_PEM);
  raw_server tls{[&](raw_socket& peer, int n) {
    ssl_ptr ssl{SSL_new(context.get()), SSL_free};
    SSL_set_fd(ssl.get(), peer.fd());
    if (SSL_accept(ssl.get()) == 1) {
      char block[4096];
      SSL_read(ssl.get(), block, sizeof block);
      const std::string_view answer = "HTTP/1.1 200 OK\r\n\r\nhalf or all?";
      SSL_write(ssl.get(), answer.data(), static_cast<int>(answer.size()));
      if (n == 2)
        SSL_shutdown(ssl.get());
    }
    ERR_clear_error();
    peer.end_sending();
    peer.rest();
  }};
  net::loop on;
  client_options how;
  how.ca_file = w.ca();
  auto client = tls_client(on, tls.port(), how);
  const auto cut = call(*client, post("/", "x"));
  REQUIRE(cut.has_error());
  CHECK(cut.error().maybe_sent);
  const auto whole = call(*client, post("/", "x"));
  REQUIRE(whole.has_value());
  CHECK(whole->body == "half or all?");
}

TEST_CASE("streams and draining work over TLS") {
  world w;
  net::loop there, here;
  auto server = serve(
      there,
      [](request&& what, const responder& answer) {
        answer.start_stream(text(what.target));
        for (int i = 0; i < 100; ++i)
          answer.send_chunk(std::string(1000, 'x'));
        answer.end_stream();
      },
      w.good());
  client_options how;
  how.ca_file = w.ca();
  auto client = tls_client(here, server->port(), how);
  for (int i = 0; i < 3; ++i)
    CHECK(call(*client, get("/"))->body.size() == 100'001);
  server->drain();
  CHECK(eventually([&] { return server->connections() == 0; }));
  CHECK(eventually([&] { return client->now().connections == 0; }));
}

TEST_CASE("files that can't be used are named, at the start") {
  world w;
  net::loop on;
  auto how = w.good();
  const auto other = w.good();
  how.key_file = other.key_file;
  auto made = server::listen(on, how, echo);
  REQUIRE(made.has_error());
  CHECK(made.error().code == errc::bad_input);
  CHECK(made.error().context.find(other.key_file) != std::string::npos);
  how.certificate_file = w.dir() / "none.pem";
  made = server::listen(on, how, echo);
  REQUIRE(made.has_error());
  CHECK(made.error().context.find("none.pem") != std::string::npos);
  client_options options;
  options.ca_file = w.dir() / "none.pem";
  origin to;
  to.tls = true;
  to.host = "localhost";
  const auto client = client::make(on, to, options);
  REQUIRE(client.has_error());
  CHECK(client.error().code == errc::bad_input);
}
