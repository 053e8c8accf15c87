#include "tests/system/cluster_stage.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/redis_server.hpp"

namespace troupe::system_test {

namespace {

class a_redis final : public store_server {
 public:
  std::uint16_t port() const override { return server_.port(); }
  std::string url(const std::string& place) const override {
    return "redis://" + place;
  }
  void kill() override { server_.kill(); }
  void restart() override { server_.restart(); }

 private:
  // With `everysec`, a write that meets an fsync under way is answered before
  // it is in the file: kill -9 then loses what was promised.
  redis_test::redis_server server_{
      {.append_only = true, .lines = {"appendfsync always"}}};
};

class a_postgres final : public store_server {
 public:
  std::uint16_t port() const override { return server_.port(); }
  std::string url(const std::string& place) const override {
    return "postgresql://troupe@" + place + "/postgres";
  }
  void kill() override { server_.kill(); }
  void restart() override { server_.restart(); }

 private:
  postgres_test::postgres_server server_{{.sync = true}};
};

std::unique_ptr<store_server> server_of(store_kind kind) {
  if (kind == store_kind::redis)
    return std::make_unique<a_redis>();
  return std::make_unique<a_postgres>();
}

std::string loopback(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

const json::object& part(const json::object& of, const char* name) {
  return of.at(name).get_object();
}

}  // namespace

bool have_store(store_kind kind) {
  return kind == store_kind::redis ? redis_test::have_redis()
                                   : postgres_test::have_postgres();
}

// The name decides who dials whom: n1 all, n2 those after it.
std::vector<cluster_stage::place> cluster_stage::places(
    std::size_t nodes, const store_server& store) {
  std::vector<place> out(nodes);
  for (std::size_t i = 0; i < nodes; ++i) {
    place& one = out[i];
    one.name = "n" + std::to_string(i + 1);
    one.webhook = free_port();
    one.stats = free_port();
    one.listens = free_port();
    one.store = std::make_unique<relay_test::relay>(store.port());
    one.road = std::make_unique<relay_test::relay>(one.listens);
  }
  return out;
}

// The stage itself names the address of one bot: the first node's.
std::vector<std::string> cluster_stage::webhooks(
    const std::vector<place>& of, std::vector<std::string> flags) {
  for (std::size_t i = 1; i < of.size(); ++i) {
    flags.emplace_back("--webhook");
    flags.push_back("http://" + loopback(of[i].webhook) + "/webhook");
  }
  return flags;
}

cluster_stage::cluster_stage(std::size_t nodes,
                             const std::vector<std::string>& flags,
                             stage::environment more, store_kind on)
    : store_{server_of(on)},
      nodes_{places(nodes, *store_)},
      on_{webhooks(nodes_, flags), std::move(more)} {
  nodes_.front().webhook = on_.bot_port();
  nodes_.front().stats = on_.stats_port();
}

void cluster_stage::launch_node(std::size_t i) {
  place& at = nodes_.at(i);
  launch what;
  what.program = built("counter");
  what.args = {"run"};
  what.environment = on_.settings();
  auto& in = what.environment;
  in["TROUPE_NODE_NAME"] = at.name;
  in["TROUPE_WEBHOOK_LISTEN"] = loopback(at.webhook);
  in["TROUPE_STATS_LISTEN"] = loopback(at.stats);
  in["TROUPE_STORE_URL"] = store_->url(at.store->place());
  in["TROUPE_CLUSTER_LISTEN"] = loopback(at.listens);
  in["TROUPE_CLUSTER_ADVERTISE"] = at.road->place();
  what.folder = on_.folder().path();
  what.output = at.name + '-' + std::to_string(++at.processes);
  at.runs = std::make_unique<process>(what);
  at.stopped = false;
}

void cluster_stage::start() {
  for (std::size_t i = 0; i < size(); ++i)
    launch_node(i);
  const bool up = eventually([this] {
    for (std::size_t i = 0; i < size(); ++i) {
      INFO(node(i).err());
      REQUIRE(node(i).running());
    }
    return whole();
  });
  INFO(on_.said());
  REQUIRE(up);
}

void cluster_stage::kill(std::size_t i) {
  place& at = nodes_.at(i);
  take_counts(at);
  at.runs->signal(SIGKILL);
  REQUIRE(at.runs->wait() == 128 + SIGKILL);
  for (const auto& [name, n] : std::exchange(at.counted, {}))
    ended_[name] += n;
  at.stopped = false;
}

void cluster_stage::stop(std::size_t i) {
  node(i).signal(SIGSTOP);
  nodes_.at(i).stopped = true;
}

void cluster_stage::go_on(std::size_t i) {
  node(i).signal(SIGCONT);
  nodes_.at(i).stopped = false;
}

bool cluster_stage::ready(std::size_t i) {
  const place& at = nodes_.at(i);
  return at.runs && at.runs->running() && !at.stopped &&
         ask(at.stats, "GET", "/readyz", {}, {}, seconds{5}).status == 200;
}

std::optional<json::object> cluster_stage::stats(std::size_t i) {
  const place& at = nodes_.at(i);
  if (!at.runs || !at.runs->running() || at.stopped)
    return std::nullopt;
  const reply got = ask(at.stats, "GET", "/stats", {}, {}, seconds{10});
  if (got.status != 200)
    return std::nullopt;
  return object(got.body);
}

bool cluster_stage::whole() {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!ready(i) || !whole(i, size()))
      return false;
  }
  return true;
}

bool cluster_stage::whole(std::size_t i, std::size_t serving) {
  const auto says = stats(i);
  if (!says)
    return false;
  const json::object& cluster = part(*says, "cluster");
  const json::array& nodes = cluster.at("nodes").get_array();
  const json::object& shards = part(cluster, "shards");
  return nodes.size() == serving &&
         std::all_of(nodes.begin(), nodes.end(),
                     [](const json::value& each) {
                       const json::object& one = each.get_object();
                       return one.at("state") == json::value("serving") &&
                              number(one, "shards") > 0;
                     }) &&
         shards.at("unowned").get_array().empty() &&
         shards.at("claimed_twice").get_array().empty();
}

bool cluster_stage::idle() {
  const json::object telegram = on_.sim_state();
  if (number(telegram, "pending") > 0 || number(telegram, "in_flight") > 0)
    return false;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto ours = stats(i);
    // Without the store's figures (it is slow, or down) nothing is known.
    if (!ours || ours->if_contains("store") == nullptr)
      return false;
    if (number(part(*ours, "store"), "journal") > 0 ||
        number(part(*ours, "store"), "outbox") > 0)
      return false;
    const json::object& depth = part(*ours, "depth");
    if (number(depth, "accepting") > 0 || number(depth, "settling") > 0)
      return false;
  }
  return true;
}

void cluster_stage::take_counts(place& of) {
  const auto says = stats(static_cast<std::size_t>(&of - nodes_.data()));
  if (!says)
    return;
  for (const auto& each : part(*says, "totals"))
    of.counted[std::string{each.key()}] =
        each.value().to_number<std::int64_t>();
}

cluster_stage::counts cluster_stage::totals() {
  counts out = ended_;
  for (place& each : nodes_) {
    take_counts(each);
    for (const auto& [name, n] : each.counted)
      out[name] += n;
  }
  return out;
}

void cluster_stage::end() {
  for (std::size_t i = 0; i < size(); ++i)
    node(i).signal(SIGTERM);
  for (std::size_t i = 0; i < size(); ++i) {
    const int code = node(i).wait();
    INFO(node(i).err());
    CHECK(code == 0);
  }
  on_.stop_sim();
}

std::vector<std::string> cluster_stage::log_lines() const {
  std::vector<std::string> out;
  for (const place& each : nodes_) {
    for (unsigned n = 1; n <= each.processes; ++n) {
      std::ifstream in{on_.folder() /
                       (each.name + '-' + std::to_string(n) + ".err")};
      std::string line;
      while (std::getline(in, line))
        out.push_back(std::move(line));
    }
  }
  return out;
}

}  // namespace troupe::system_test
