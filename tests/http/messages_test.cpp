#include <zlib.h>

#include "http/inflate.hpp"
#include "http/reader.hpp"
#include "http/writer.hpp"
#include "tests/http/support.hpp"

using namespace troupe;
using namespace troupe::http;

namespace {

/// Feeds `bytes` in pieces of `step`, as a connection would.
/// @returns how many requests were done.
template <class Reader, class Done>
void feed_all(Reader& in, std::string_view bytes, std::size_t step, Done done) {
  std::string held;
  for (std::size_t at = 0; at < bytes.size();) {
    held.append(bytes.substr(at, step));
    at += std::min(step, bytes.size() - at);
    for (bool more = true; more && !held.empty();) {
      const auto used = in.feed(held);
      held.erase(0, used);
      more = in.now() == Reader::status::done;
      if (more)
        done();
      if (in.now() != Reader::status::need_more)
        break;
    }
  }
}

unsigned refusal_of(std::string_view bytes, std::size_t step = 1 << 20,
                    request_reader::limits how = {}) {
  request_reader in{how};
  std::string held;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    held.append(bytes.substr(at, step));
    held.erase(0, in.feed(held));
    if (in.now() != request_reader::status::need_more)
      break;
  }
  return in.now() == request_reader::status::refused ? in.refusal() : 0;
}

std::string zipped(std::string_view data, int bits) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, data.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = static_cast<uInt>(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

constexpr std::string_view host = "Host: a\r\n";

}  // namespace

TEST_CASE("a request reads the same in one piece and byte by byte") {
  const std::string bytes =
      "POST /a?b HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: 5\r\n\r\n"
      "hello"
      "\r\n"
      "POST /c HTTP/1.1\r\nhOsT: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n"
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  for (const std::size_t step : {1u, 2u, 7u, 64u, 4096u}) {
    request_reader in{{}};
    std::vector<request> got;
    std::vector<bool> alive;
    feed_all(in, bytes, step, [&] {
      alive.push_back(in.keep_alive());
      got.push_back(in.take());
    });
    REQUIRE(got.size() == 3);
    CHECK(got[0].method == "POST");
    CHECK(got[0].path() == "/a");
    CHECK(got[0].query() == "b");
    CHECK(got[0].headers.find("x-one") == "1");
    CHECK_FALSE(got[0].headers.has("host"));
    CHECK_FALSE(got[0].headers.has("content-length"));
    CHECK(got[0].body == "hello");
    CHECK(got[1].body == "abc0123456789");
    CHECK_FALSE(got[1].headers.has("x-trailer"));
    CHECK(got[2].method == "GET");
    CHECK(alive == std::vector<bool>{true, true, false});
  }
}

TEST_CASE("a request that could be smuggled is refused") {
  const std::string start = "POST / HTTP/1.1\r\n" + std::string{host};
  for (const std::size_t step : {1u, 4096u}) {
    CHECK(refusal_of(start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                     step) == 400);
    CHECK(refusal_of(start + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
                     step) == 400);
    CHECK(refusal_of(start + "Content-Length: 1, 1\r\n\r\na", step) == 400);
    CHECK(refusal_of(start + "Content-Length: +1\r\n\r\na", step) == 400);
    CHECK(refusal_of(start + "Content-Length: -1\r\n\r\na", step) == 400);
    CHECK(refusal_of(start + "Content-Length: 99999999999999999999\r\n\r\na",
                     step) == 400);
    CHECK(refusal_of(start + "Content-Length: 1\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n0\r\n\r\n",
                     step) == 400);
    CHECK(refusal_of(start + "Transfer-Encoding: chunked\r\nContent-Length: "
                             "1\r\n\r\n0\r\n\r\n",
                     step) == 400);
    CHECK(refusal_of(start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n0\r\n\r\n",
                     step) == 400);
    CHECK(refusal_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "0\r\n\r\n",
                     step) == 400);
    CHECK(refusal_of(start + "Transfer-Encoding: gzip, chunked\r\n\r\n",
                     step) == 501);
    CHECK(refusal_of(start + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
                     step) == 400);
    CHECK(refusal_of(start + "Transfer-Encoding: chunked\r\n\r\n"
                             "ffffffffffffffffff\r\n",
                     step) == 400);
  }
}

TEST_CASE("a malformed request is refused as soon as it can be seen") {
  for (const std::size_t step : {1u, 4096u}) {
    CHECK(refusal_of("GET / HTTP/1.1\nHost: a\n", step) == 400);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c", step) == 400);
    CHECK(refusal_of(std::string{"GET /\0 HTTP", 11}, step) == 400);
    CHECK(refusal_of("\x16\x03\x01\x02\x01\x01", step) == 400);
    CHECK(refusal_of("GET / HTTP/1.1\r\n\r\n", step) == 400);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", step) ==
          400);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost : a\r\n\r\n", step) == 400);
    CHECK(refusal_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n", step) == 400);
    CHECK(refusal_of("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", step) == 400);
    CHECK(refusal_of("(\r\n\r\n", step) == 400);
  }
  CHECK(refusal_of("GET / HTTP/1.0\r\n\r\n") == 0);
  // In the second piece, after a first of which something was taken.
  request_reader in{{}};
  std::string held = "GET / HTTP/1.1\r\nHost: a\r\nX: ab";
  held.erase(0, in.feed(held));
  held += "\nccc";
  in.feed(held);
  CHECK(in.refusal() == 400);
}

TEST_CASE("a header over its limit is 431, a body over its limit 413") {
  const request_reader::limits small{.header = 200, .body = 10};
  const std::string start = "POST / HTTP/1.1\r\n" + std::string{host};
  for (const std::size_t step : {1u, 4096u}) {
    CHECK(refusal_of(start + "X: " + std::string(300, 'x'), step, small) ==
          431);
    CHECK(refusal_of(start + "Content-Length: 10\r\n\r\n0123456789", step,
                     small) == 0);
    CHECK(refusal_of(start + "Content-Length: 11\r\n\r\n", step, small) == 413);
    CHECK(refusal_of(start + "Transfer-Encoding: chunked\r\n\r\n6\r\n012345"
                             "\r\n6\r\n012345\r\n",
                     step, small) == 413);
  }
}

TEST_CASE("G11: a header that comes a field at a time has the same limit") {
  // Each piece ends within the next name, so a parser that only looks at what
  // it holds sees little at any time.
  const auto pieces = [](auto& in, std::string_view start, auto status) {
    std::string held{start};
    for (int i = 0; i < 100 && in.now() == status; ++i) {
      held += "ab";
      held.erase(0, in.feed(held));
      held += "cd: 0123456789\r\n";
    }
  };
  request_reader asked{{.header = 200, .body = 10}};
  pieces(asked, "GET / HTTP/1.1\r\n", request_reader::status::need_more);
  CHECK(asked.refusal() == 431);
  response_reader answered{{.header = 200, .body = 10}};
  answered.expect(false);
  pieces(answered, "HTTP/1.1 200 OK\r\n", response_reader::status::need_more);
  CHECK(answered.now() == response_reader::status::failed);
  CHECK(answered.reason().code == errc::too_large);
}

TEST_CASE("a chunked body without a chunk is empty, however it comes") {
  for (const std::string end :
       {"0\r\n\r\n", "0\r\nA: b\r\n\r\n", "00\r\n\r\n", "0;x\r\n\r\n"}) {
    const auto fields = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n" + end;
    for (const std::size_t step : {1u, 2u, 3u, 4u, 4096u}) {
      request_reader asked{{}};
      int done = 0;
      feed_all(asked, "POST / HTTP/1.1\r\n" + fields, step, [&] { ++done; });
      CHECK(done == 1);
      response_reader answered{{}};
      answered.expect(false);
      feed_all(answered, "HTTP/1.1 200 OK\r\n" + fields, step, [&] { ++done; });
      CHECK(done == 2);
    }
  }
  // The same bytes as contents.
  int done = 0;
  request_reader in{{}};
  feed_all(in, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n0\r\nA",
           1, [&] { ++done; });
  REQUIRE(done == 1);
  CHECK(in.take().body == "0\r\nA");
}

TEST_CASE("a body may begin and end with a line break") {
  request_reader in{{}};
  int done = 0;
  feed_all(in, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\r\n\r",
           1, [&] { ++done; });
  REQUIRE(done == 1);
  CHECK(in.take().body == "\r\n\r");
}

TEST_CASE("compressed bodies are inflated up to the limit of a body") {
  const std::string plain = std::string(5000, 'a') + "end";
  const auto send = [](std::string_view coding, const std::string& body) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: " +
           std::string{coding} +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  };
  for (const auto& [coding, bits] : {std::pair{"gzip", 31},
                                     {"x-gzip", 31},
                                     {"deflate", 15},
                                     {"deflate", -15}}) {
    request_reader in{{}};
    in.feed(send(coding, zipped(plain, bits)));
    REQUIRE(in.now() == request_reader::status::done);
    const auto got = in.take();
    CHECK((got.body == plain));
    CHECK_FALSE(got.headers.has("content-encoding"));
  }
  const auto bomb = zipped(std::string(1 << 20, 'a'), 31);
  CHECK(bomb.size() < 4096);
  CHECK(refusal_of(send("gzip", bomb), 4096, {.body = 4096}) == 413);
  auto damaged = zipped(plain, 31);
  damaged[damaged.size() / 2] ^= 0x55;
  CHECK(refusal_of(send("gzip", damaged)) == 400);
  CHECK(refusal_of(send("gzip", zipped(plain, 31).substr(0, 20))) == 400);
  CHECK(refusal_of(send("gzip", zipped(plain, 31) + "more")) == 400);
  CHECK(refusal_of(send("gzip", "")) == 400);
  CHECK(refusal_of(send("br", "x")) == 415);
  CHECK(refusal_of(send("gzip, gzip", "x")) == 415);
  CHECK(refusal_of(send("identity", "x")) == 0);
}

TEST_CASE("an inflated body may be exactly as large as its limit") {
  const std::string plain(70'000, 'b');
  const auto data = zipped(plain, 31);
  CHECK((inflate_body("gzip", data, 70'000).value() == plain));
  const auto over = inflate_body("gzip", data, 69'999);
  REQUIRE(over.has_error());
  CHECK(over.error().code == errc::too_large);
}

TEST_CASE("a response reads the same in one piece and byte by byte") {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX: y\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (const std::size_t step : {1u, 3u, 4096u}) {
    response_reader in{{}};
    in.expect(false);
    int done = 0;
    feed_all(in, bytes, step, [&] { ++done; });
    REQUIRE(done == 1);
    CHECK(in.keep_alive());
    const auto got = in.take();
    CHECK(got.status == 200);
    CHECK(got.type == "a/b");
    CHECK(got.headers.find("x") == "y");
    CHECK_FALSE(got.headers.has("link"));
    CHECK(got.body == "hello");
  }
}

TEST_CASE("a body without a length ends with the connection") {
  response_reader in{{}};
  in.expect(false);
  in.feed("HTTP/1.1 200 OK\r\n\r\nhello");
  CHECK(in.now() == response_reader::status::need_more);
  in.feed_end();
  REQUIRE(in.now() == response_reader::status::done);
  CHECK_FALSE(in.keep_alive());
  CHECK(in.take().body == "hello");
}

TEST_CASE("a response that ends early is no response") {
  for (const std::string_view bytes :
       {"", "HT", "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n"}) {
    response_reader in{{}};
    in.expect(false);
    in.feed(bytes);
    in.feed_end();
    CHECK(in.now() == response_reader::status::failed);
    CHECK(in.started() == !bytes.empty());
    CHECK(in.reason().code == errc::unknown_outcome);
  }
}

TEST_CASE("a response over its limit or against the protocol fails") {
  const auto fails = [](std::string_view bytes) {
    response_reader in{{.header = 100, .body = 10}};
    in.expect(false);
    in.feed(bytes);
    return in.now() == response_reader::status::failed ? in.reason().code
                                                       : errc{};
  };
  CHECK(fails("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n") ==
        errc::too_large);
  CHECK(fails("HTTP/1.1 200 OK\r\n\r\n0123456789x") == errc::too_large);
  CHECK(fails("HTTP/1.1 200 OK\r\nX: " + std::string(200, 'x')) ==
        errc::too_large);
  CHECK(fails("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: "
              "2\r\n\r\n") == errc::unknown_outcome);
  CHECK(fails("HTTP/1.1 101 Switching Protocols\r\n\r\n") ==
        errc::unknown_outcome);
  CHECK(fails("HTTP/1.1 099 OK\r\n\r\nx") == errc::unknown_outcome);
  CHECK(fails("SSH-2.0-OpenSSH_9.2\r\n\r\n") == errc::unknown_outcome);
}

TEST_CASE("the answer to HEAD has a length and no body") {
  response_reader in{{}};
  in.expect(true);
  in.feed("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  REQUIRE(in.now() == response_reader::status::done);
  CHECK(in.keep_alive());
  CHECK(in.take().body.empty());
}

TEST_CASE("data of a caller can't forge a header") {
  request what;
  CHECK(check_sendable(what).has_value());
  what.target = "/a b";
  CHECK(check_sendable(what).has_error());
  what.target = "/a\r\nX: y";
  CHECK(check_sendable(what).has_error());
  what.target = "/";
  what.headers.add("X", "y\r\nZ: z");
  CHECK(check_sendable(what).has_error());
  response answer;
  CHECK(is_sendable(answer));
  answer.headers.add("X", std::string{"a\0b", 3});
  CHECK_FALSE(is_sendable(answer));
  answer = {};
  answer.type = "a\nb";
  CHECK_FALSE(is_sendable(answer));
  answer = {};
  answer.headers.add("X y", "z");
  CHECK_FALSE(is_sendable(answer));
}

TEST_CASE("the framing of a message is never the caller's") {
  response answer;
  answer.headers.add("Content-Length", "99");
  answer.headers.add("transfer-encoding", "chunked");
  answer.headers.add("Connection", "upgrade");
  answer.headers.add("X", "y");
  answer.body = "abc";
  std::string out;
  append_head(out, answer, {}, "D");
  CHECK(out ==
        "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/json"
        "\r\nX: y\r\nContent-Length: 3\r\n\r\n");
  out.clear();
  request what;
  what.headers.add("Host", "evil");
  what.headers.add("Content-Length", "99");
  append_head(out, what, "/p", "h");
  CHECK(out == "GET /p/ HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST_CASE("the date is the time in English, whatever the locale") {
  date_text date;
  CHECK(date.at(784'111'777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(date.at(1'795'523'696) == "Tue, 24 Nov 2026 12:34:56 GMT");
}
