#include "actors/handshake.hpp"

#include <limits>

#include "actors/told.hpp"
#include "net/crypto.hpp"

namespace troupe::actors {

namespace {

// Far over any name's length.
constexpr std::size_t longest_hello = 4'096;

}  // namespace

std::string bot_of(const std::string& token) {
  return token.substr(0, token.find(':'));
}

void write_facts(const node_facts& what, json::object& into) {
  into["protocol"] = what.protocol;
  into["bot"] = what.bot;
  into["shards"] = what.shards;
}

node_facts read_facts(const json::value& from) {
  auto in = from.if_object();
  if (!in)
    return {};
  constexpr auto any = std::numeric_limits<std::int64_t>::max();
  return {told_number(*in, "protocol", any, 0),
          told_text(*in, "bot", longest_hello),
          told_number(*in, "shards", any, 0)};
}

std::string mismatch(const node_facts& mine, const node_facts& other) {
  if (other.protocol != mine.protocol)
    return "it speaks protocol " + std::to_string(other.protocol) +
           ", this node " + std::to_string(mine.protocol) +
           ": versions of both can't run at once; stop all nodes of one first";
  if (other.bot != mine.bot)
    return "it is of bot " + other.bot + ", this node of " + mine.bot +
           ": look at bot.token and store.url";
  if (other.shards != mine.shards)
    return "it has " + std::to_string(other.shards) + " shards, this node " +
           std::to_string(mine.shards) + ": look at store.shards";
  return {};
}

std::string write_hello(const hello& what) {
  json::object out;
  write_facts(what.facts, out);
  out["from"] = what.from;
  out["to"] = what.to;
  out["proof"] = what.proof;
  return json::serialize(out);
}

result<hello> read_hello(const std::string& text) {
  if (text.size() > longest_hello)
    return error{errc::bad_input, "a hello of " + std::to_string(text.size()) +
                                      " bytes is too long"};
  auto parsed = parse_json(text);
  if (!parsed)
    return parsed.error();
  auto in = parsed->if_object();
  if (!in)
    return error{errc::bad_input, "a hello is a JSON object"};
  return hello{read_facts(*parsed), told_text(*in, "from", longest_hello),
               told_text(*in, "to", longest_hello),
               told_text(*in, "proof", longest_hello)};
}

std::string proof_of(const std::string& token, const std::string& from,
                     const std::string& to) {
  return net::hmac_sha256_hex(token, "troupe road 1\n" + from + '\n' + to);
}

}  // namespace troupe::actors
