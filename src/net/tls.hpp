#pragma once

#include <openssl/types.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>
#include <string>

#include "core/result.hpp"

namespace troupe::net {

/// TLS 1.2 and later, with the certificate chain and key of PEM files.
/// **Errors**: `errc::bad_input` naming the file that can't be used.
result<boost::asio::ssl::context> make_server_tls(const std::string& chain_file,
                                                  const std::string& key_file);

/// TLS 1.2 and later that trusts the CAs of `ca_file`, or the system's, and
/// shows the certificate of PEM files, if there are any, to a server that asks.
/// **Errors**: `errc::bad_input` naming the file that can't be used, or that
/// lacks the other one.
result<boost::asio::ssl::context> make_client_tls(
    const std::string& ca_file, bool verify, const std::string& chain_file = "",
    const std::string& key_file = "");

/// Before a client's handshake: asks for the server `host`, a name or an IP
/// address, and wants its certificate to be of it.
/// **Errors**: `errc::unavailable` if OpenSSL does not take the name.
result<> expect_peer(SSL* tls, const std::string& host);

/// Why a client's handshake ended with `ec`: what is wrong with the server's
/// certificate if it was that.
std::string handshake_failure(SSL* tls, const boost::system::error_code& ec);

}  // namespace troupe::net
