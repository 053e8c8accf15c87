#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "tests/support/catch.hpp"

namespace troupe::net::testing {

/// A fresh directory, removed with everything in it.
class scratch {
 public:
  scratch() {
    auto name =
        (std::filesystem::temp_directory_path() / "troupe-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~scratch() {
    std::error_code ignored;  // a test's leftovers fail no test
    std::filesystem::remove_all(path_, ignored);
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

/// A key and its certificate.
struct identity {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr,
                                                          EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, X509_free};

  void save(const std::string& chain_file, const std::string& key_file,
            const identity* issuer = nullptr) const {
    std::FILE* f = std::fopen(chain_file.c_str(), "w");
    REQUIRE(f != nullptr);
    PEM_write_X509(f, certificate.get());
    if (issuer != nullptr)
      PEM_write_X509(f, issuer->certificate.get());
    std::fclose(f);
    f = std::fopen(key_file.c_str(), "w");
    REQUIRE(f != nullptr);
    PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(f);
  }
};

struct certificate_options {
  std::string name = {};          ///< its common name
  std::string alternatives = {};  ///< e.g. `DNS:a.test,IP:127.0.0.1`
  bool authority = false;
  long starts_in = -3600, ends_in = 3600;  ///< seconds from now
};

/// Makes a certificate, signed by `issuer`, or by itself.
inline identity make_identity(const certificate_options& how,
                              const identity* issuer = nullptr) {
  identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509* x = made.certificate.get();
  static long serial = 1;
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), how.starts_in);
  X509_gmtime_adj(X509_getm_notAfter(x), how.ends_in);
  X509_set_pubkey(x, made.key.get());
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(x), "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(how.name.c_str()), -1, -1, 0);
  X509* signer = issuer != nullptr ? issuer->certificate.get() : x;
  X509_set_issuer_name(x, X509_get_subject_name(signer));
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, signer, x, nullptr, nullptr, 0);
  const auto extend = [&](int nid, const std::string& value) {
    X509_EXTENSION* e =
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    REQUIRE(e != nullptr);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
  };
  extend(NID_basic_constraints,
         how.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!how.alternatives.empty())
    extend(NID_subject_alt_name, how.alternatives);
  REQUIRE(X509_sign(x, issuer != nullptr ? issuer->key.get() : made.key.get(),
                    EVP_sha256()) > 0);
  return made;
}

/// A root, an intermediate authority, and what they vouch for, in files.
class authorities {
 public:
  struct files {
    std::string chain, key;
  };

  authorities() {
    root_ = make_identity({.name = "root", .authority = true});
    root_.save(ca(), dir_ / "root.key");
    middle_ = make_identity({.name = "middle", .authority = true}, &root_);
  }
  std::string ca() const { return dir_ / "root.pem"; }
  const scratch& dir() const { return dir_; }

  files issue(const certificate_options& how) {
    return saved(make_identity(how, &middle_), &middle_);
  }
  files self_signed(const certificate_options& how) {
    return saved(make_identity(how), nullptr);
  }
  /// What fits a server on loopback.
  files good() {
    return issue(
        {.name = "good", .alternatives = "DNS:localhost,IP:127.0.0.1"});
  }

 private:
  files saved(const identity& of, const identity* issuer) {
    const auto name = std::to_string(++saved_);
    const files made{dir_ / (name + ".pem"), dir_ / (name + ".key")};
    of.save(made.chain, made.key, issuer);
    return made;
  }

  scratch dir_;
  identity root_, middle_;
  int saved_ = 0;
};

}  // namespace troupe::net::testing
