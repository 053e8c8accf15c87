#include "actors/handshake.hpp"

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;

namespace {

const node_facts ours{1, "7", 128};

}  // namespace

TEST_CASE("nodes that agree in all facts find no difference") {
  CHECK(mismatch(ours, ours).empty());
}

TEST_CASE("a difference says what each has, and what to do") {
  CHECK(mismatch(ours, {2, "7", 128}) ==
        "it speaks protocol 2, this node 1: versions of both can't run at "
        "once; stop all nodes of one first");
  CHECK(mismatch(ours, {1, "8", 128}) ==
        "it is of bot 8, this node of 7: look at bot.token and store.url");
  CHECK(mismatch(ours, {1, "7", 64}) ==
        "it has 64 shards, this node 128: look at store.shards");
}

TEST_CASE("facts that are missing or odd are a difference") {
  CHECK(!mismatch(ours, read_facts({})).empty());
  auto odd = parse_json(R"({"protocol":"1","bot":7,"shards":-1})").value();
  CHECK(read_facts(odd).protocol == 0);
  CHECK(read_facts(odd).bot.empty());
  json::object told;
  write_facts(ours, told);
  CHECK(mismatch(ours, read_facts(told)).empty());
}

TEST_CASE("a hello arrives as it was said, and a later version may say more") {
  auto got = read_hello(write_hello({ours, "a-1", "b-2", "p"})).value();
  CHECK(mismatch(ours, got.facts).empty());
  CHECK(got.from == "a-1");
  CHECK(got.to == "b-2");
  CHECK(got.proof == "p");
  CHECK(read_hello(R"({"protocol":9,"more":[]})").value().facts.protocol == 9);
  CHECK(!read_hello("no hello"));
  CHECK(!read_hello('"' + std::string(10'000, 'x') + '"'));
}

TEST_CASE("G12: a proof is of one token, one speaker and one hearer") {
  const auto proof = proof_of("7:token", "a", "b");
  CHECK(proof != proof_of("7:other", "a", "b"));
  CHECK(proof != proof_of("7:token", "b", "a"));
  CHECK(proof != proof_of("7:token", "a", "c"));
  CHECK(proof.find("token") == std::string::npos);
  CHECK(bot_of("7:token") == "7");
}
