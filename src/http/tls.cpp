#include "http/tls.hpp"

#include <openssl/ssl.h>

namespace troupe::http {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace {

ssl::context make_context(ssl::context::method method) {
  ssl::context made{method};
  SSL_CTX_set_min_proto_version(made.native_handle(), TLS1_2_VERSION);
  // An idle connection then holds 34 KB less.
  SSL_CTX_set_mode(made.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(made.native_handle(), SSL_OP_NO_RENEGOTIATION);
  return made;
}

error unusable(const char* what, const std::string& file,
               const error_code& ec) {
  return {errc::bad_input,
          std::string{what} + " " + file + ": " + ec.message()};
}

}  // namespace

result<ssl::context> make_server_tls(const std::string& chain_file,
                                     const std::string& key_file) {
  auto made = make_context(ssl::context::tls_server);
  error_code ec;
  made.use_certificate_chain_file(chain_file, ec);
  if (ec)
    return unusable("certificate file", chain_file, ec);
  made.use_private_key_file(key_file, ssl::context::pem, ec);
  if (ec)
    return unusable("key file", key_file, ec);
  if (SSL_CTX_check_private_key(made.native_handle()) != 1)
    return error{errc::bad_input, "key file " + key_file +
                                      " does not fit the certificate in " +
                                      chain_file};
  return made;
}

result<ssl::context> make_client_tls(const std::string& ca_file, bool verify) {
  auto made = make_context(ssl::context::tls_client);
  error_code ec;
  if (ca_file.empty())
    made.set_default_verify_paths(ec);
  else
    made.load_verify_file(ca_file, ec);
  if (ec)
    return unusable("CA file", ca_file, ec);
  made.set_verify_mode(verify ? ssl::verify_peer : ssl::verify_none, ec);
  return made;
}

}  // namespace troupe::http
