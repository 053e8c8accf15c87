#include "net/crypto.hpp"

#include "tests/net/certificates.hpp"
#include "tests/support/catch.hpp"

using namespace troupe::net;
using namespace troupe::net::testing;

TEST_CASE("HMAC-SHA-256 gives the digests of RFC 4231") {
  CHECK(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hmac_sha256_hex("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac_sha256_hex(std::string(131, '\xaa'),
                        "Test Using Larger Than Block-Size Key - Hash Key "
                        "First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("SHA-1 gives the digests of FIPS 180") {
  CHECK(sha1_hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST_CASE("constant-time equality is equality") {
  CHECK(equal_constant_time("", ""));
  CHECK(equal_constant_time("abc", "abc"));
  CHECK_FALSE(equal_constant_time("abc", "abd"));
  CHECK_FALSE(equal_constant_time("abc", "ab"));
  CHECK_FALSE(equal_constant_time("", "a"));
}

TEST_CASE("a certificate that signed itself is told from one that did not") {
  const scratch dir;
  const auto root = make_identity({.name = "root", .authority = true});
  root.save(dir / "root.pem", dir / "root.key");
  make_identity({.name = "leaf"}, &root)
      .save(dir / "leaf.pem", dir / "leaf.key", &root);
  CHECK(self_signed(dir / "root.pem").value());
  CHECK_FALSE(self_signed(dir / "leaf.pem").value());
  CHECK(self_signed(dir / "root.key").has_error());
  CHECK(self_signed(dir / "none.pem").has_error());
}
