#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"

/// The few pieces of cryptography that others need, so that OpenSSL stays in
/// this module. **Threads**: any.
namespace troupe::net {

/// HMAC-SHA-256 of `text` under `key`, as 64 lower-case hex digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view text);

/// SHA-1 of `text` as 40 lower-case hex digits: a name for a text, as Redis
/// gives one to a script. No protection against anybody.
std::string sha1_hex(std::string_view text);

/// True if both are the same bytes. The time it takes tells nothing but
/// whether the lengths differ.
bool equal_constant_time(std::string_view a, std::string_view b) noexcept;

/// Looks whether PEM files can be used for TLS in which both ends show a
/// certificate: the authorities to trust, a chain and its key.
/// **Errors**: `errc::bad_input` naming the file that can't be used.
result<> check_identity(const std::string& ca_file,
                        const std::string& chain_file,
                        const std::string& key_file);

/// True if the first certificate of a PEM file signed itself: nobody trusts it
/// unless it is handed over.
/// **Errors**: `errc::bad_input` if the file has no certificate.
result<bool> self_signed(const std::string& pem_file);

}  // namespace troupe::net
