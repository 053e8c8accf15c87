#include "tests/system/stage.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "tests/support/catch.hpp"

namespace troupe::system_test {

namespace {

const json::value* find(const json::object& in, const std::string& name) {
  return in.if_contains(name);
}

std::string text_of(const json::object& in, const std::string& name) {
  const json::value* at = find(in, name);
  return at && at->is_string() ? std::string{at->get_string()} : std::string{};
}

std::int64_t number_or_0(const json::object& in, const std::string& name) {
  const json::value* at = find(in, name);
  return at && at->is_number() ? at->to_number<std::int64_t>() : 0;
}

/// What a log of the simulator is read by, line by line.
template <class Take>
void each_line(const std::string& path, Take&& take) {
  std::ifstream in{path};
  std::string line;
  while (std::getline(in, line))
    take(line);
}

}  // namespace

json::object object(const std::string& text) {
  auto parsed = parse_json(text);
  INFO(text);
  REQUIRE(parsed.has_value());
  REQUIRE(parsed->is_object());
  return std::move(parsed->get_object());
}

std::int64_t number(const json::object& from, const std::string& name) {
  const json::value* at = find(from, name);
  INFO(name << " of " << json::serialize(from));
  REQUIRE(at != nullptr);
  REQUIRE(at->is_number());
  return at->to_number<std::int64_t>();
}

stage::stage(const std::vector<std::string>& flags, environment more,
             std::string bot_name)
    : bot_name_{std::move(bot_name)},
      bot_port_{free_port()},
      stats_port_{free_port()} {
  launch what;
  what.program = built("troupe");
  what.folder = folder_.path();
  what.output = "sim";
  what.args = {"sim",
               "--listen",
               "127.0.0.1:0",
               "--token",
               token,
               "--log",
               log_file(),
               "--webhook",
               "http://127.0.0.1:" + std::to_string(bot_port_) + "/webhook",
               "--webhook-secret",
               secret,
               "--stay"};
  what.args.insert(what.args.end(), flags.begin(), flags.end());
  sim_ = std::make_unique<process>(what);
  const bool listens = eventually([&] {
    const std::string said = sim_->out();
    if (said.find('\n') == std::string::npos)
      return !sim_->running();
    const std::string at =
        text_of(object(said.substr(0, said.find('\n'))), "listening");
    sim_port_ =
        static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
    return true;
  });
  INFO(sim_->err());
  REQUIRE(listens);
  REQUIRE(sim_port_ != 0);
  settings_ = {
      {"TROUPE_BOT_TOKEN", token},
      {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:" + std::to_string(sim_port_)},
      {"TROUPE_BOT_MODE", "webhook"},
      {"TROUPE_WEBHOOK_SECRET", secret},
      {"TROUPE_WEBHOOK_LISTEN", "127.0.0.1:" + std::to_string(bot_port_)},
      {"TROUPE_STATS_LISTEN", "127.0.0.1:" + std::to_string(stats_port_)},
      // A slow machine takes its time over a clean end, too.
      {"TROUPE_DRAIN_SECONDS", "60"},
      {"TROUPE_STORE_URL", "sqlite:" + (folder_ / "troupe.db")}};
  for (auto& [name, value] : more)
    settings_[name] = value;
}

void stage::launch_bot() {
  launch what;
  what.program = built(bot_name_);
  what.args = {"run"};
  what.environment = settings_;
  what.folder = folder_.path();
  what.output = "bot";
  bot_ = std::make_unique<process>(what);
}

bool stage::ready() {
  return ask(stats_port_, "GET", "/readyz", {}, {}, seconds{5}).status == 200;
}

void stage::start_bot() {
  launch_bot();
  const bool up = eventually([this] {
    if (bot_->running())
      return ready();
    INFO(bot_->err());
    FAIL("the bot ended by itself");
    return false;
  });
  INFO(bot_->err());
  REQUIRE(up);
}

ending stage::command(const std::vector<std::string>& args) {
  launch what;
  what.program = built(bot_name_);
  what.args = args;
  what.environment = settings_;
  what.folder = folder_.path();
  what.output = "command" + std::to_string(++commands_);
  return finish(what);
}

wire& stage::talk() {
  if (!talk_ || !talk_->open())
    talk_.emplace(sim_port_);
  return *talk_;
}

std::int64_t stage::write(std::int64_t chat, const std::string& text) {
  const std::string body = json::serialize(
      json::object{{"chat", chat},
                   {"user", chat > 0 ? chat : std::int64_t{4711}},
                   {"text", text}});
  // A connection that idled may be closed by now; the second one is fresh.
  for (int tries = 0; tries < 2; ++tries) {
    if (talk().open() && talk().send(request("POST", "/sim/text", body))) {
      const reply got = talk().read();
      if (got.status == 200)
        return number(object(got.body), "update_id");
      INFO(got.body);
      REQUIRE(got.status == 0);
    }
    talk().close();
  }
  INFO(sim_->err());
  FAIL("the simulator does not answer");
  return 0;
}

json::object stage::sim_state() {
  const reply got = ask(sim_port_, "GET", "/sim/state");
  INFO(sim_->err());
  REQUIRE(got.status == 200);
  return object(got.body);
}

std::string stage::phase() {
  return text_of(sim_state(), "phase");
}

json::object stage::stats() {
  const reply got = ask(stats_port_, "GET", "/stats");
  INFO(bot_->err());
  REQUIRE(got.status == 200);
  return object(got.body);
}

bool stage::idle() {
  const json::object telegram = sim_state();
  if (number(telegram, "pending") > 0 || number(telegram, "in_flight") > 0)
    return false;
  const json::object ours = stats();
  // Without the store's figures (it is slow, or down) nothing is known.
  const json::value* store = find(ours, "store");
  if (store == nullptr || !store->is_object())
    return false;
  if (number(store->get_object(), "journal") > 0 ||
      number(store->get_object(), "outbox") > 0)
    return false;
  const json::object& depth = ours.at("depth").get_object();
  return number(depth, "accepting") == 0 && number(depth, "settling") == 0;
}

void stage::stop() {
  stop_bot();
  stop_sim();
}

void stage::stop_bot() {
  bot_->signal(SIGTERM);
  const int code = bot_->wait();
  INFO(bot_->err());
  CHECK(code == 0);
}

void stage::stop_sim() {
  talk_.reset();
  sim_->signal(SIGTERM);
  const int code = sim_->wait();
  INFO(sim_->err());
  CHECK(code == 0);
}

json::object stage::verdict(const std::vector<std::string>& flags,
                            const std::string& log) {
  launch what;
  what.program = built("troupe");
  what.args = {"sim", "verify", log.empty() ? log_file() : log, "--json"};
  what.args.insert(what.args.end(), flags.begin(), flags.end());
  what.folder = folder_.path();
  what.output = "verify";
  const ending how = finish(what);
  INFO(how.err);
  REQUIRE((how.code == 0 || how.code == 1));
  return object(how.out);
}

std::vector<logged_call> stage::calls(const std::string& log) const {
  std::vector<logged_call> out;
  each_line(log.empty() ? log_file() : log, [&](const std::string& line) {
    const json::object one = object(line);
    if (text_of(one, "e") != "call")
      return;
    const json::value* recorded = find(one, "recorded");
    out.push_back(
        {text_of(one, "method"), number_or_0(one, "chat"), text_of(one, "text"),
         number_or_0(one, "t_in"), number_or_0(one, "t_out"),
         recorded != nullptr && recorded->is_bool() && recorded->get_bool()});
  });
  return out;
}

std::int64_t stage::sim_time(std::int64_t wall_ms) const {
  std::int64_t start = 0;
  each_line(log_file(), [&](const std::string& line) {
    if (start != 0)
      return;
    const json::object one = object(line);
    start = number(one, "wall_ms") - number_or_0(one, "t") / 1000;
  });
  return (wall_ms - start) * 1000;
}

std::string stage::said() const {
  std::string all;
  for (const auto& file : std::filesystem::directory_iterator{folder_.path()}) {
    const std::string end = file.path().extension().string();
    if (end == ".out" || end == ".err")
      all += read_file(file.path().string());
  }
  return all;
}

}  // namespace troupe::system_test
