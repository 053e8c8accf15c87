#pragma once

#include <string>

#include "core/json.hpp"
#include "core/result.hpp"

/// What nodes tell each other before anything else: in their heartbeats, and
/// at the begin of a road. Pure.
namespace troupe::actors {

/// Of what nodes tell each other, and of what they all must do alike
/// (placement, fair shares). A node of another one is refused.
constexpr std::int64_t cluster_protocol = 1;

/// What all nodes of a store must have in common.
struct node_facts {
  std::int64_t protocol = 0;
  std::string bot;  ///< its id, the part of the token that is no secret
  std::int64_t shards = 0;
};

/// The id in a bot's token.
std::string bot_of(const std::string& token);

void write_facts(const node_facts& what, json::object& into);
/// What is missing or odd stays 0 or empty: it then differs.
node_facts read_facts(const json::value& from);

/// In what `other` differs, for people, and what to do; empty: in nothing.
std::string mismatch(const node_facts& mine, const node_facts& other);

/// The first message on a road. As JSON, so that every version can read the
/// hello of every other and refuse it with a reason.
struct hello {
  node_facts facts;
  std::string from;  ///< the speaker's instance
  std::string to;    ///< whom it takes us for: an address may be another's now
  std::string proof;
};

std::string write_hello(const hello& what);
/// **Errors**: `errc::bad_input`.
result<hello> read_hello(const std::string& text);

/// Only who has the bot's token can make it: on loopback there is no TLS, and
/// who could speak on a road could make updates up. A name is never used
/// twice, so an old proof opens nothing.
std::string proof_of(const std::string& token, const std::string& from,
                     const std::string& to);

}  // namespace troupe::actors
