#include "sim/command.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "sim/report.hpp"
#include "sim/run.hpp"
#include "sim/verify.hpp"
#include "telegram/call.hpp"

namespace troupe::sim {

namespace {

constexpr const char* sim_help =
    "A simulated Telegram for bots in any language: a Bot API server on\n"
    "loopback, with virtual users, limits, faults, and a log that a checker\n"
    "judges.\n\n"
    "  troupe sim --listen 127.0.0.1:8081\n"
    "      just the server; point your bot at http://127.0.0.1:8081\n"
    "  troupe sim --users 100 --rate 50 --duration 60 --log run.jsonl \\\n"
    "      --webhook http://127.0.0.1:8443/webhook --webhook-secret S\n"
    "      plays a minute of users against a counter bot\n"
    "  troupe sim verify run.jsonl\n"
    "      proves or breaks the guarantees from the log";

struct sim_flags {
  sim_options how;
  std::string listen = "127.0.0.1:8081";
  std::string arrivals = "poisson";
  double duration = -1;
  std::uint64_t count = 0;
  double settle = 60;
  double wait = 60;
  std::int64_t answer_delay = 0;
  std::uint64_t seed = 1;
  std::vector<std::string> webhooks;
  std::vector<std::string> bursts;
  std::vector<std::string> outages;
};

[[noreturn]] void usage(const std::string& what) {
  throw CLI::ValidationError(what);
}

template <class T>
T number(std::string_view text, const std::string& flag) {
  T n{};
  auto [end, fault] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (fault != std::errc{} || end != text.data() + text.size() || n < T{})
    usage(flag + ": not a number: " + std::string{text});
  return n;
}

void read_listen(const std::string& text, sim_options& how) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    usage("--listen: HOST:PORT is wanted");
  auto host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  how.host = host;
  how.port = number<std::uint16_t>(std::string_view{text}.substr(colon + 1),
                                   "--listen");
}

burst read_burst(const std::string& text) {
  auto at = text.find('@');
  if (at == std::string::npos)
    usage("--burst: COUNT@SECOND is wanted");
  return {
      number<std::uint64_t>(std::string_view{text}.substr(0, at), "--burst"),
      number<double>(std::string_view{text}.substr(at + 1), "--burst")};
}

outage read_outage(const std::string& text) {
  auto dash = text.find('-');
  if (dash == std::string::npos)
    usage("--outage: FROM-TO in seconds is wanted");
  outage o{number<double>(std::string_view{text}.substr(0, dash), "--outage"),
           number<double>(std::string_view{text}.substr(dash + 1), "--outage")};
  if (o.to <= o.from)
    usage("--outage: TO must be after FROM");
  return o;
}

void add_server_flags(CLI::App& app, sim_flags& f) {
  auto& how = f.how;
  app.add_option("--listen", f.listen,
                 "HOST:PORT; port 0 takes a free one, the first line on "
                 "stdout tells which")
      ->capture_default_str();
  app.add_option("--token", how.bot.token, "The bot's token")
      ->capture_default_str();
  app.add_option("--log", how.log_file, "Write every event, one JSON per line");
  app.add_option("--webhook", f.webhooks,
                 "The bot's webhook, as if set by setWebhook; if it is given "
                 "several times, updates go to these in turn, past those that "
                 "are down, as behind a load balancer");
  app.add_option("--webhook-secret", how.webhook_secret,
                 "Sent as X-Telegram-Bot-Api-Secret-Token");
  app.add_option("--webhook-connections", how.webhook_connections,
                 "Most deliveries at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  app.add_option("--answer-delay", f.answer_delay,
                 "Milliseconds that every call takes")
      ->check(CLI::Range(0, 60'000));
  app.add_option("--global-per-second", how.bot.limits.global_per_second,
                 "Messages per second, all chats together; 0: no limit")
      ->capture_default_str();
  app.add_option("--chat-per-second", how.bot.limits.chat_per_second,
                 "Messages per second in a private chat; 0: no limit")
      ->capture_default_str();
  app.add_option("--group-per-minute", how.bot.limits.group_per_minute,
                 "Messages per minute in a group; 0: no limit")
      ->capture_default_str();
  app.add_option("--time-scale", how.feed.time_scale,
                 "Multiplies the webhook's retry and connection delays")
      ->capture_default_str()
      ->check(CLI::Range(0.0001, 1000.0));
  app.add_option("--seed", f.seed, "Of everything random")
      ->capture_default_str();
}

void add_user_flags(CLI::App& app, sim_flags& f) {
  auto& users = f.how.users;
  app.add_option("--users", users.users, "Virtual users, one private chat each")
      ->capture_default_str();
  app.add_option("--groups", users.groups, "Groups they also write in")
      ->capture_default_str();
  app.add_option("--rate", users.rate,
                 "Texts per second; 0: as fast as they are answered")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--arrivals", f.arrivals, "even or poisson")
      ->capture_default_str()
      ->check(CLI::IsMember({"even", "poisson"}));
  app.add_option("--in-flight", users.in_flight,
                 "With --rate 0: most texts without a reply")
      ->capture_default_str()
      ->check(CLI::Range(1, 90'000));
  app.add_option("--duration", f.duration, "Seconds the users write for");
  app.add_option("--count", f.count, "Stop after so many texts instead");
  app.add_option("--burst", f.bursts,
                 "COUNT@SECOND: texts that piled up, delivered as after an "
                 "outage; may be repeated");
  app.add_option("--outage", f.outages,
                 "FROM-TO in seconds: no webhook is delivered; may be "
                 "repeated");
  app.add_option("--texts", users.prefix, "Prefix of every text")
      ->capture_default_str();
  app.add_option("--wait", f.wait, "Most seconds to wait for the bot at first")
      ->capture_default_str();
  app.add_option("--settle", f.settle,
                 "Most seconds to wait for quiet at the end")
      ->capture_default_str();
  app.add_flag("--stay", f.how.stay, "Serve on when the users are done");
}

void add_fault_flags(CLI::App& app, sim_flags& f) {
  auto& rates = f.how.bot.rates;
  auto fraction = [&](const char* name, double& value, const char* help) {
    app.add_option(name, value, help)->check(CLI::Range(0.0, 1.0));
  };
  fraction("--drop-answers", rates.drop,
           "Fraction of sends carried out but never answered");
  fraction("--errors", rates.gateway,
           "Fraction of sends refused with an HTML 502");
  fraction("--flood", rates.flood,
           "Fraction of sends refused with an unprovoked 429");
  fraction("--blocked", f.how.users.blocked,
           "Fraction of users who have blocked the bot");
  fraction("--resend", f.how.feed.resend,
           "Fraction of updates delivered again although answered 200");
}

sim_options finished(sim_flags& f) {
  auto& how = f.how;
  read_listen(f.listen, how);
  how.users.poisson = f.arrivals == "poisson";
  if (f.duration >= 0)
    how.users.duration = f.duration;
  if (f.count > 0)
    how.users.count = f.count;
  if (!f.webhooks.empty()) {
    how.webhook_url = f.webhooks.front();
    how.more_webhooks.assign(f.webhooks.begin() + 1, f.webhooks.end());
  }
  for (auto& text : f.bursts)
    how.users.bursts.push_back(read_burst(text));
  for (auto& text : f.outages)
    how.outages.push_back(read_outage(text));
  auto to_milliseconds = [](double s) {
    return milliseconds{static_cast<std::int64_t>(s * 1000)};
  };
  how.settle = to_milliseconds(f.settle);
  how.wait_bot = to_milliseconds(f.wait);
  how.bot.answer_delay = milliseconds{f.answer_delay};
  how.bot.seed = how.feed.seed = how.users.seed = f.seed;
  std::string why;
  if (!telegram::valid_token(how.bot.token, &why))
    usage("--token: " + why);
  if (how.webhook_url.empty() && !how.webhook_secret.empty())
    usage("--webhook-secret needs --webhook");
  return how;
}

void add_verify(CLI::App& sim, int& exit_code) {
  struct flags {
    std::string file;
    verify_options how;
    bool json = false;
  };
  auto f = std::make_shared<flags>();
  auto verify = sim.add_subcommand(
      "verify",
      "Judge a log: exit 0 if every guarantee that was exercised held, 1 if "
      "one is broken or nothing was proven, 2 if the log can't be judged");
  verify->add_option("LOG", f->file, "What --log wrote")->required();
  verify->add_flag("--json", f->json, "One JSON object instead of a table");
  verify
      ->add_option("--max-duplicates", f->how.max_duplicates,
                   "Duplicates that are no fault, e.g. calls under way when "
                   "the bot was killed")
      ->capture_default_str();
  verify
      ->add_option("--stretch", f->how.stretch_seconds,
                   "Seconds of the busiest stretch, for the utilisation of "
                   "the global budget")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400));
  verify->callback([f, &exit_code] {
    auto judged = verify_file(f->file, f->how);
    if (!judged) {
      std::fprintf(stderr, "troupe sim verify: %s: %s\n", f->file.c_str(),
                   judged.error().context.c_str());
      exit_code = 2;
      return;
    }
    auto text = f->json ? to_json(*judged) + '\n' : to_table(*judged);
    std::fputs(text.c_str(), stdout);
    exit_code = judged->ok() ? 0 : 1;
  });
}

}  // namespace

void add_commands(CLI::App& root, int& exit_code) {
  auto flags = std::make_shared<sim_flags>();
  auto sim = root.add_subcommand("sim", sim_help);
  add_server_flags(*sim, *flags);
  add_user_flags(*sim, *flags);
  add_fault_flags(*sim, *flags);
  sim->add_subcommand("run", "The same as `troupe sim`")->fallthrough();
  add_verify(*sim, exit_code);
  sim->require_subcommand(0, 1);
  sim->callback([sim, flags, &exit_code] {
    if (!sim->got_subcommand("verify"))
      exit_code = run(finished(*flags));
  });
}

}  // namespace troupe::sim
