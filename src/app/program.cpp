#include "app/program.hpp"

#include <unistd.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <utility>

#include "app/command_line.hpp"
#include "app/commands.hpp"
#include "app/console.hpp"
#include "app/reload.hpp"
#include "app/run.hpp"
#include "app/settings.hpp"
#include "core/log.hpp"

namespace troupe::app {
namespace {

bool needs_token(command what) {
  switch (what) {
    case command::run:
    case command::check:
    case command::webhook_set:
    case command::webhook_info:
    case command::webhook_delete: return true;
    default: return false;
  }
}

int run_bot(const loaded& with, const reread& again, const surroundings& around,
            std::shared_ptr<const detail::bot_base> bot, console& talk) {
  const auto stop = around.stop();
  if (!stop) {
    talk.say(stop.error().context);
    return exit_failed;
  }
  return run(with, again, std::move(bot), talk, **stop);
}

int dispatch(const loaded& with, const reread& again, const invocation& call,
             const surroundings& around,
             std::shared_ptr<const detail::bot_base> bot, console& talk) {
  switch (call.what) {
    case command::run:
      return run_bot(with, again, around, std::move(bot), talk);
    case command::check: return check(with, call, talk);
    case command::stats: return stats(with.values, call, talk);
    case command::broadcast_start:
    case command::broadcast_list:
    case command::broadcast_show:
    case command::broadcast_pause:
    case command::broadcast_resume:
    case command::broadcast_cancel: return broadcast(with.values, call, talk);
    case command::audience_count:
    case command::audience_export:
    case command::audience_tag: return audience(with.values, call, talk);
    case command::forget: return forget(with.values, call, talk);
    case command::reload: return reload(with.values, call, talk);
    case command::cluster_status:
    case command::cluster_drain: return cluster(with.values, call, talk);
    case command::webhook_set:
    case command::webhook_info:
    case command::webhook_delete: return webhook(with.values, call, talk);
    default: return dead_letters(with.values, call, talk);
  }
}

int with_settings(const invocation& call, const surroundings& around,
                  std::shared_ptr<const detail::bot_base> bot, console& talk) {
  const reread read = [&] {
    sources from;
    from.flags = call.flags;
    from.environment = around.environment;
    from.file = config_file(call.config, around.environment);
    return load_settings(from);
  };
  const auto settings = read();
  if (!settings) {
    talk.say(settings.error().context);
    return exit_config;
  }
  for (const std::string& text : settings->warnings) {
    talk.say("warning: " + text);
  }
  if (call.what == command::check && call.print_config) {
    std::string text = print_config(*settings);
    text.pop_back();  // the newline comes with `data`
    talk.data(std::move(text));
    return exit_ok;
  }
  if (needs_token(call.what) && settings->values.bot_token.empty()) {
    talk.say("bot.token: not set; set TROUPE_BOT_TOKEN, or bot.token_file");
    return exit_config;
  }
  log::level least = log::level::info;
  TROUPE_CHECK(log::parse_level(settings->values.log_level, least));
  log::threshold(least);
  return dispatch(*settings, read, call, around, std::move(bot), talk);
}

}  // namespace

int run_program(const surroundings& around,
                std::shared_ptr<const detail::bot_base> bot) {
  console talk{around.out, around.err, around.program};
  try {
    const auto call = parse_command_line(around.args);
    if (!call) {
      talk.say(call.error().context);
      talk.say("see " + around.program + " --help");
      return exit_usage;
    }
    if (call->what == command::help) {
      talk.data(help_text(around.program));
      return exit_ok;
    }
    if (call->what == command::version) {
      talk.data(around.program + " on Troupe " TROUPE_VERSION);
      return exit_ok;
    }
    return with_settings(*call, around, std::move(bot), talk);
  } catch (const std::exception& e) {
    talk.say(std::string{"failed: "} + e.what());
    return exit_failed;
  }
}

}  // namespace troupe::app

namespace troupe::detail {

int run_program(int argc, char** argv, std::shared_ptr<const bot_base> bot) {
  const std::filesystem::path name{argc > 0 ? argv[0] : "bot"};
  app::surroundings around{
      name.filename().string(), {}, {}, std::cout, std::cerr};
  for (int i = 1; i < argc; ++i)
    around.args.emplace_back(argv[i]);
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view text{*one};
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos)
      continue;
    around.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return app::run_program(around, std::move(bot));
}

}  // namespace troupe::detail
