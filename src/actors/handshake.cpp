#include "actors/handshake.hpp"

#include "net/crypto.hpp"

namespace troupe::actors {

namespace {

// Far over any name's length.
constexpr std::size_t longest_hello = 4'096;

std::string told_text(const json::value& from, const char* name) {
  auto object = from.if_object();
  auto value = object ? object->if_contains(name) : nullptr;
  auto text = value ? value->if_string() : nullptr;
  return text ? std::string{*text} : std::string{};
}

std::int64_t told_integer(const json::value& from, const char* name) {
  auto object = from.if_object();
  auto value = object ? object->if_contains(name) : nullptr;
  auto n = value ? value->if_int64() : nullptr;
  return n ? *n : 0;
}

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
  return {told_integer(from, "protocol"), told_text(from, "bot"),
          told_integer(from, "shards")};
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
  return hello{read_facts(*parsed), told_text(*parsed, "from"),
               told_text(*parsed, "to"), told_text(*parsed, "proof")};
}

std::string proof_of(const std::string& token, const std::string& from,
                     const std::string& to) {
  return net::hmac_sha256_hex(token, "troupe road 1\n" + from + '\n' + to);
}

}  // namespace troupe::actors
