#include <optional>

#include "core/json.hpp"
#include "tests/app/running.hpp"
#include "tests/support/redis_server.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;
using redis_test::have_redis;
using redis_test::redis_server;

namespace {

/// The settings of one of several nodes on that Redis.
std::map<std::string, std::string> node_of(const stage& s,
                                           const redis_server& store,
                                           const std::string& name) {
  auto out = s.environment();
  out["TROUPE_STORE_URL"] = store.url();
  out["TROUPE_STORE_VOLATILE"] = "allow";
  out["TROUPE_STORE_SHARDS"] = "32";
  out["TROUPE_NODE_NAME"] = name;
  return out;
}

json::object status(const std::map<std::string, std::string>& by) {
  const auto got = run_bot({"cluster", "status", "--json"}, by);
  const auto parsed = parse_json(got.out);
  return parsed && parsed->is_object() ? parsed->get_object() : json::object{};
}

std::string instance_of(const json::object& page, std::string_view given) {
  if (page.contains("nodes"))
    for (const auto& node : page.at("nodes").as_array())
      if (node.at("node").as_string() == given)
        return std::string{node.at("name").as_string()};
  return {};
}

/// Until the command says that all is well, with so many nodes.
bool well(const std::map<std::string, std::string>& by, std::size_t nodes) {
  return eventually([&] {
    const auto page = status(by);
    return page.contains("nodes") &&
           page.at("nodes").as_array().size() == nodes &&
           run_bot({"cluster", "status"}, by).code == 0;
  });
}

}  // namespace

TEST_CASE("a command shows the cluster, and drains a node of it") {
  if (!have_redis())
    return;
  redis_server store{{.append_only = true}};
  stage a;
  stage b;
  const auto env_a = node_of(a, store, "n1");
  const auto env_b = node_of(b, store, "n2");
  running_bot n1{env_a};
  running_bot n2{env_b};
  REQUIRE(well(env_a, 2));
  REQUIRE(well(env_b, 2));

  const auto shown = run_bot({"cluster", "status"}, env_a);
  CHECK(has(shown.out, "n1-"));
  CHECK(has(shown.out, "n2-"));
  CHECK(has(shown.out, "shards: 32, owned: 32"));
  CHECK(has(shown.out, stage::address(b.stats)));

  const auto unknown = run_bot({"cluster", "drain", "n3"}, env_a);
  CHECK(unknown.code == 1);
  CHECK(has(unknown.err, "no node is called n3"));
  CHECK(has(unknown.err, instance_of(status(env_a), "n2")));

  // Asked at one node, the other hands over and ends as after SIGTERM.
  const auto drained = run_bot({"cluster", "drain", "n2", "--wait"}, env_a);
  INFO(drained.err);
  CHECK(drained.code == 0);
  CHECK(has(drained.out, "draining n2-"));
  CHECK(n2.end() == 0);
  CHECK(well(env_a, 1));
  CHECK(b.get("/readyz") == 0);

  // And itself, by the name of its process.
  const auto name = instance_of(status(env_a), "n1");
  const auto last = run_bot({"cluster", "drain", name, "--wait"}, env_a);
  INFO(last.err);
  CHECK(last.code == 0);
  CHECK(n1.end() == 0);
  const auto nobody = run_bot({"cluster", "status"}, env_a);
  CHECK(nobody.code == 1);
  CHECK(has(nobody.err, "no node answers"));
}

TEST_CASE("of two nodes of one name, the command wants to know which") {
  if (!have_redis())
    return;
  redis_server store{{.append_only = true}};
  stage a;
  stage b;
  const auto env_a = node_of(a, store, "same");
  running_bot one{env_a};
  running_bot other{node_of(b, store, "same")};
  REQUIRE(well(env_a, 2));
  const auto which = run_bot({"cluster", "drain", "same"}, env_a);
  CHECK(which.code == 1);
  CHECK(has(which.err, "several nodes are called same"));
  CHECK(a.get("/readyz") == 200);
  CHECK(b.get("/readyz") == 200);
  CHECK(one.stop() == 0);
  CHECK(other.stop() == 0);
}

TEST_CASE("a node with a store of its own says that there is no cluster") {
  stage s;
  const auto env = s.environment();
  running_bot bot{env};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"cluster", "status"}, {"cluster", "drain", "n1"}}) {
    const auto got = run_bot(args, env);
    CHECK(got.code == 1);
    CHECK(has(got.err, "there is no cluster"));
  }
  CHECK(bot.stop() == 0);
}
