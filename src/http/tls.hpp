#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "core/result.hpp"

namespace troupe::http {

/// TLS 1.2 and later, with the certificate chain and key of PEM files.
/// **Errors**: `errc::bad_input` naming the file that can't be used.
result<boost::asio::ssl::context> make_server_tls(const std::string& chain_file,
                                                  const std::string& key_file);

/// TLS 1.2 and later that trusts the CAs of `ca_file`, or the system's.
/// **Errors**: `errc::bad_input` for a file that can't be read.
result<boost::asio::ssl::context> make_client_tls(const std::string& ca_file,
                                                  bool verify);

}  // namespace troupe::http
