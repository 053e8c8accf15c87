#include "net/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdio>
#include <memory>

#include "net/tls.hpp"

namespace troupe::net {

namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(size * 2);
  for (std::size_t i = 0; i < size; ++i) {
    out += digits[bytes[i] >> 4];
    out += digits[bytes[i] & 15];
  }
  return out;
}

}  // namespace

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  TROUPE_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                    reinterpret_cast<const unsigned char*>(text.data()),
                    text.size(), sum.data(), &size) != nullptr);
  return hex(sum.data(), size);
}

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  TROUPE_CHECK(EVP_Digest(text.data(), text.size(), sum.data(), &size,
                          EVP_sha1(), nullptr) == 1);
  return hex(sum.data(), size);
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

result<bool> self_signed(const std::string& pem_file) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{
      std::fopen(pem_file.c_str(), "rbe"), &std::fclose};
  if (!file) {
    return error{errc::bad_input, "can't open certificate file " + pem_file};
  }
  std::unique_ptr<X509, void (*)(X509*)> first{
      PEM_read_X509(file.get(), nullptr, nullptr, nullptr), &X509_free};
  if (!first) {
    return error{errc::bad_input, "no PEM certificate in " + pem_file};
  }
  return X509_check_issued(first.get(), first.get()) == X509_V_OK;
}

result<> check_identity(const std::string& ca_file,
                        const std::string& chain_file,
                        const std::string& key_file) {
  auto made = make_client_tls(ca_file, true, chain_file, key_file);
  if (!made)
    return made.error();
  return {};
}

}  // namespace troupe::net
