#include "app/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/settings.hpp"

namespace troupe::app {
namespace {

struct usage_line {
  std::string_view usage;
  std::string_view help;
};

constexpr usage_line commands[] = {
    {"run", "run the bot until SIGTERM or SIGINT (the default)"},
    {"check", "try everything the bot needs and say what to do"},
    {"check --print-config", "print a commented configuration file"},
    {"webhook set [URL] [--drop-pending]", "register with Telegram"},
    {"webhook info", "what Telegram says about the webhook"},
    {"webhook delete [--drop-pending]", "unregister"},
    {"dead-letters list [--after ID] [--limit N]", "updates that failed"},
    {"dead-letters show ID", "one of them, with its update"},
    {"dead-letters retry ID... | --all", "give them to their chats again"},
    {"dead-letters drop ID... | --all", "remove them for good"},
    {"broadcast start --text T | --file CALL.json",
     "to all who use the bot, or to --audience 'active 30d, lang=de'; --name, "
     "--rate N, --at TIME, --dry-run, --repeat, --follow; --request KEY: said "
     "again, it starts no second one"},
    {"broadcast list", "campaigns and how far they are"},
    {"broadcast show ID [--follow]", "one of them"},
    {"broadcast pause|resume|cancel ID", "steer it"},
    {"audience count [FILTER]", "who is meant by 'active 30d, tag=beta'"},
    {"audience export [FILTER] [--csv | --json]",
     "those, a line for each on stdout"},
    {"audience tag add|remove TAG FILTER",
     "tag those; with --chat KEY in the place of FILTER: that chat"},
    {"forget CHAT [--dry-run]", "remove all that is kept about a chat"},
    {"stats [chat KEY]", "figures of the running node, or of one chat"},
    {"reload", "take other limits, log level and update kinds, as SIGHUP"},
    {"cluster status", "nodes and shards; 1 if something is wrong with them"},
    {"cluster drain NODE [--wait]", "end one node, its shards to the others"},
};

constexpr usage_line options[] = {
    {"--config FILE", "TOML file; else TROUPE_CONFIG, else ./troupe.toml"},
    {"--json", "data on stdout as JSON"},
    {"--help", "this text"},
    {"--version", "the version"},
};

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) {
    text.append(width - text.size(), ' ');
  } else {
    text += '\n' + std::string(width, ' ');
  }
  return text;
}

void append_wrapped(std::string& out, std::size_t indent,
                    std::string_view text) {
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (column > indent && column + 1 + word.size() > 79) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text = space == std::string_view::npos ? std::string_view{}
                                           : text.substr(space + 1);
  }
  out += '\n';
}

/// The parser and the places it writes to.
struct grammar {
  CLI::App app{"", "bot"};
  invocation out;
  std::map<std::string, std::string> values;
  std::vector<std::string> stats_words, audience_words;
  bool help = false;
  bool version = false;

  grammar();
  CLI::App* add(CLI::App* parent, const char* name, command what);
  void add_keys();
  void add_broadcast();
  void add_audience();
};

CLI::App* grammar::add(CLI::App* parent, const char* name, command what) {
  CLI::App* sub = parent->add_subcommand(name);
  sub->fallthrough();
  sub->set_help_flag();
  sub->parse_complete_callback([this, what] { out.what = what; });
  return sub;
}

void grammar::add_keys() {
  for (const key_spec& key : keys()) {
    const std::string name{key.name};
    app.add_option_function<std::string>(
        flag_of(key),
        [this, name](const std::string& text) { values[name] = text; });
  }
}

grammar::grammar() {
  app.set_help_flag();
  app.add_flag("--help,-h", help);
  app.add_flag("--version", version);
  app.add_flag("--json", out.json);
  app.add_option("--config", out.config);
  app.require_subcommand(0, 1);
  add_keys();

  add(&app, "run", command::run);
  CLI::App* check = add(&app, "check", command::check);
  check->add_flag("--print-config", out.print_config);

  CLI::App* webhook = app.add_subcommand("webhook");
  webhook->fallthrough();
  webhook->set_help_flag();
  webhook->require_subcommand(0, 1);
  CLI::App* set = add(webhook, "set", command::webhook_set);
  set->add_option("url", out.url);
  set->add_flag("--drop-pending", out.drop_pending);
  add(webhook, "info", command::webhook_info);
  CLI::App* remove = add(webhook, "delete", command::webhook_delete);
  remove->add_flag("--drop-pending", out.drop_pending);

  CLI::App* letters = app.add_subcommand("dead-letters");
  letters->fallthrough();
  letters->set_help_flag();
  letters->require_subcommand(0, 1);
  CLI::App* list = add(letters, "list", command::letters_list);
  list->add_option("--after", out.after);
  list->add_option("--limit", out.limit)->check(CLI::Range(1, 1000));
  CLI::App* show = add(letters, "show", command::letters_show);
  show->add_option("id", out.ids)->expected(1);
  CLI::App* retry = add(letters, "retry", command::letters_retry);
  retry->add_option("ids", out.ids);
  retry->add_flag("--all", out.all);
  CLI::App* drop = add(letters, "drop", command::letters_drop);
  drop->add_option("ids", out.ids);
  drop->add_flag("--all", out.all);

  add_broadcast();
  add_audience();

  CLI::App* cluster = app.add_subcommand("cluster");
  cluster->fallthrough();
  cluster->set_help_flag();
  cluster->require_subcommand(0, 1);
  add(cluster, "status", command::cluster_status);
  CLI::App* drain = add(cluster, "drain", command::cluster_drain);
  drain->add_option("node", out.node);
  drain->add_flag("--wait", out.wait);

  add(&app, "reload", command::reload);
  CLI::App* stats = add(&app, "stats", command::stats);
  stats->add_option("words", stats_words)->expected(0, 2);
}

void grammar::add_broadcast() {
  CLI::App* broadcast = app.add_subcommand("broadcast");
  broadcast->fallthrough();
  broadcast->set_help_flag();
  broadcast->require_subcommand(0, 1);
  CLI::App* start = add(broadcast, "start", command::broadcast_start);
  start->add_option("--text", out.text);
  start->add_option("--file", out.file);
  start->add_option("--audience", out.audience);
  start->add_option("--name", out.name);
  start->add_option("--rate", out.rate)->check(CLI::Range(1, 100'000));
  start->add_option("--at", out.at);
  start->add_option("--request", out.request);
  start->add_flag("--dry-run", out.dry_run);
  start->add_flag("--repeat", out.repeat);
  start->add_flag("--follow", out.follow);
  add(broadcast, "list", command::broadcast_list);
  CLI::App* show = add(broadcast, "show", command::broadcast_show);
  show->add_option("id", out.ids)->expected(1);
  show->add_flag("--follow", out.follow);
  add(broadcast, "pause", command::broadcast_pause)
      ->add_option("id", out.ids)
      ->expected(1);
  add(broadcast, "resume", command::broadcast_resume)
      ->add_option("id", out.ids)
      ->expected(1);
  add(broadcast, "cancel", command::broadcast_cancel)
      ->add_option("id", out.ids)
      ->expected(1);
}

void grammar::add_audience() {
  CLI::App* audience = app.add_subcommand("audience");
  audience->fallthrough();
  audience->set_help_flag();
  audience->require_subcommand(0, 1);
  add(audience, "count", command::audience_count)
      ->add_option("words", audience_words);
  CLI::App* list = add(audience, "export", command::audience_export);
  list->add_option("words", audience_words);
  list->add_flag("--csv", out.csv);
  CLI::App* tag = add(audience, "tag", command::audience_tag);
  tag->add_option("words", audience_words);
  tag->add_option("--chat", out.chat);
  CLI::App* forget = add(&app, "forget", command::forget);
  forget->add_option("chat", out.chat);
  forget->add_flag("--dry-run", out.dry_run);
}

/// What is wrong with `audience ...` or `forget`, if it is one of them; else
/// puts its words into their places.
std::optional<std::string> wrong_audience(grammar& g) {
  using enum command;
  const CLI::App* audience = g.app.get_subcommand("audience");
  invocation& out = g.out;
  if (out.what == forget && out.chat.empty())
    return "forget: say which chat";
  if (!audience->parsed())
    return std::nullopt;
  if (audience->get_subcommands().empty())
    return "audience: say count, export or tag";
  auto words = g.audience_words;
  if (out.what == audience_tag) {
    if (words.size() < 2 || (words[0] != "add" && words[0] != "remove"))
      return "audience tag: say add or remove, and which tag";
    out.add_tag = words[0] == "add";
    out.tag = words[1];
    words.erase(words.begin(), words.begin() + 2);
    if (words.empty() == out.chat.empty())
      return "audience tag: say who is meant, such as 'active 30d', or --chat";
  } else if (out.csv && out.json) {
    return "audience export: --csv or --json";
  }
  if (words.size() > 1)
    return "audience: put the filter into quotes: 'active 30d, tag=beta'";
  if (!words.empty())
    out.audience = words[0];
  return std::nullopt;
}

/// What is wrong with `broadcast ...`, if it is that.
std::optional<std::string> wrong_broadcast(const grammar& g) {
  using enum command;
  const CLI::App* broadcast = g.app.get_subcommand("broadcast");
  if (!broadcast->parsed())
    return std::nullopt;
  if (broadcast->get_subcommands().empty())
    return "broadcast: say start, list, show, pause, resume or cancel";
  const invocation& out = g.out;
  if (out.what == broadcast_start) {
    if (out.text.empty() == out.file.empty())
      return "broadcast start: give --text or --file";
  } else if (out.what != broadcast_list && out.ids.size() != 1) {
    return "broadcast: give the campaign's id; broadcast list shows them";
  }
  return std::nullopt;
}

std::optional<std::string> wrong_use(grammar& g) {
  using enum command;
  const CLI::App* webhook = g.app.get_subcommand("webhook");
  const CLI::App* letters = g.app.get_subcommand("dead-letters");
  if (webhook->parsed() && webhook->get_subcommands().empty()) {
    return "webhook: say set, info or delete";
  }
  if (letters->parsed() && letters->get_subcommands().empty()) {
    return "dead-letters: say list, show, retry or drop";
  }
  const CLI::App* cluster = g.app.get_subcommand("cluster");
  if (cluster->parsed() && cluster->get_subcommands().empty())
    return "cluster: say status or drain";
  if (auto text = wrong_broadcast(g))
    return text;
  if (auto text = wrong_audience(g))
    return text;
  const invocation& out = g.out;
  if (out.what == cluster_drain && out.node.empty())
    return "cluster drain: say which node; cluster status lists them";
  if (out.what == letters_show && out.ids.size() != 1) {
    return "dead-letters show: give one id";
  }
  if ((out.what == letters_retry || out.what == letters_drop) &&
      out.ids.empty() != out.all) {
    return "dead-letters: give ids, or --all";
  }
  if (out.ids.size() > 1000)
    return "dead-letters: at most 1000 ids at once";
  if (!g.stats_words.empty()) {
    if (g.stats_words.size() != 2 || g.stats_words[0] != "chat") {
      return "stats: say nothing more, or chat KEY";
    }
    g.out.chat = g.stats_words[1];
  }
  for (const auto& [name, text] : g.values) {
    const key_spec& key = *find_key(name);
    if (!key.secret)
      continue;
    return flag_of(key) +
           ": a secret on a command line can be read by every "
           "user of this machine; set " +
           environment_of(key) + ", or " + flag_of(key) + "-file";
  }
  return std::nullopt;
}

/// Says which argument nobody understood, and what it may have meant.
std::string unknown_argument(const std::vector<std::string>& args,
                             const std::string& fallback) {
  std::vector<std::string> flags{
      "--config", "--json",    "--help",     "--version",      "--print-config",
      "--all",    "--after",   "--limit",    "--drop-pending", "--wait",
      "--text",   "--file",    "--audience", "--name",         "--rate",
      "--at",     "--dry-run", "--repeat",   "--follow",       "--csv",
      "--chat",   "--request"};
  for (const key_spec& key : keys())
    flags.push_back(flag_of(key));
  const std::vector<std::string> words{
      "run",     "check",     "webhook", "stats",    "dead-letters",
      "cluster", "broadcast", "reload",  "audience", "forget"};
  for (const std::string& arg : args) {
    const bool flag = arg.starts_with("--");
    const std::string name = arg.substr(0, arg.find('='));
    const auto& known = flag ? flags : words;
    if (std::ranges::find(known, name) != known.end())
      continue;
    if (const auto near = nearest(name, known)) {
      return "unknown argument " + name + "; did you mean " + *near + '?';
    }
    if (flag)
      return "unknown argument " + name;
  }
  return fallback;
}

}  // namespace

result<invocation> parse_command_line(const std::vector<std::string>& args) {
  grammar g;
  const auto wrong = [](std::string text) {
    return error{errc::bad_input, scrub(std::move(text))};
  };
  try {
    std::vector<std::string> reversed{args.rbegin(), args.rend()};
    g.app.parse(reversed);
  } catch (const CLI::ExtrasError& e) {
    if (g.help) {
      g.out.what = command::help;
      return g.out;
    }
    return wrong(unknown_argument(args, e.what()));
  } catch (const CLI::ParseError& e) {
    return wrong(e.what());
  }
  if (g.help || g.version) {
    g.out.what = g.help ? command::help : command::version;
    return g.out;
  }
  if (const auto text = wrong_use(g))
    return wrong(*text);
  g.out.flags = std::move(g.values);
  return std::move(g.out);
}

std::string help_text(const std::string& program) {
  std::string out = "usage: " + program + " [options] [command]\n\ncommands:\n";
  for (const usage_line& line : commands) {
    out += "  " + padded(std::string{line.usage}, 44);
    append_wrapped(out, 46, line.help);
  }
  out += "\noptions:\n";
  for (const usage_line& line : options) {
    out += "  " + padded(std::string{line.usage}, 18);
    append_wrapped(out, 20, line.help);
  }
  out +=
      "\nsettings, also as TROUPE_... variables and in the file "
      "(`check --print-config`):\n";
  for (const key_spec& key : keys()) {
    std::string left = "  ";
    left += key.secret ? environment_of(key) : flag_of(key);
    out += padded(left, 34);
    std::string right{key.help};
    if (key.form == shape::integer || key.form == shape::choice ||
        key.form == shape::ratio) {
      right += " (" + type_of(key) + ')';
    }
    if (key.secret)
      right += " Not as a flag.";
    if (!key.fallback.empty()) {
      right += " [" + std::string{key.fallback} + ']';
    }
    append_wrapped(out, 34, right);
  }
  out +=
      "\nexit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong "
      "configuration\n";
  return out;
}

}  // namespace troupe::app
