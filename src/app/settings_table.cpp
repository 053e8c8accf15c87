#include <algorithm>
#include <cctype>

#include "app/settings.hpp"

namespace troupe::app {
namespace {

using s = settings;

constexpr auto empty_ok = true;
constexpr auto is_secret = true;

const key_spec table[] = {
    // -- bot
    {"bot.token", &s::bot_token, shape::text, "",
     "The bot's token, from @BotFather.", empty_ok, is_secret},
    {"bot.token_file", &s::bot_token_file, shape::path, "",
     "A file that holds the token and nothing else.", empty_ok},
    {"bot.api_root", &s::bot_api_root, shape::url, "https://api.telegram.org",
     "The Bot API server: Telegram's, your own, or `troupe sim`."},
    {"bot.mode",
     &s::bot_mode,
     shape::choice,
     "webhook",
     "How updates come in: Telegram posts them to us, or we ask for them.",
     false,
     false,
     0,
     0,
     {"webhook", "polling"}},
    {"bot.allowed_updates", &s::bot_allowed_updates, shape::text, "default",
     "Update kinds to ask Telegram for, in both modes: `default`, `all` (with "
     "chat_member and reactions, which are off by default), or names with "
     "commas between."},
    // -- webhook
    {"webhook.listen", &s::webhook_listen, shape::address, "127.0.0.1:8443",
     "Where to listen for Telegram, or for the proxy in front of us."},
    {"webhook.path", &s::webhook_path, shape::text, "/webhook",
     "The path that takes updates."},
    {"webhook.secret", &s::webhook_secret, shape::text, "",
     "What Telegram must send as X-Telegram-Bot-Api-Secret-Token: 1-256 of "
     "A-Z a-z 0-9 _ -. Unset: derived from the token if public_url is set, "
     "else not asked for.",
     empty_ok, is_secret},
    {"webhook.secret_file", &s::webhook_secret_file, shape::path, "",
     "A file that holds the secret and nothing else.", empty_ok},
    {"webhook.public_url", &s::webhook_public_url, shape::url, "",
     "What Telegram is to call; registered at every start. Without a path, "
     "webhook.path is appended. Unset: `run` only listens, registers nothing.",
     empty_ok},
    {"webhook.max_connections", &s::webhook_max_connections, shape::integer,
     "40", "Connections Telegram may open at once; registered.", false, false,
     1, 100'000},
    {"webhook.certificate", &s::webhook_certificate, shape::path, "",
     "PEM chain; with webhook.key the listener speaks HTTPS itself. A "
     "self-signed one is handed to Telegram.",
     empty_ok},
    {"webhook.key", &s::webhook_key, shape::path, "",
     "PEM private key of webhook.certificate.", empty_ok},
    {"webhook.max_body", &s::webhook_max_body, shape::integer, "4194304",
     "Bytes of a request; over it 413. Telegram's updates stay under 512 KiB.",
     false, false, 524'288, 67'108'864},
    // -- polling
    {"polling.timeout_seconds", &s::polling_timeout_seconds, shape::integer,
     "50", "How long a getUpdates waits for updates; Telegram's cap is 50.",
     false, false, 1, 50},
    // -- store
    {"store.url", &s::store_url, shape::text, "sqlite:./troupe.db",
     "Where updates, state and calls are kept: `sqlite:FILE`, a Redis "
     "(`redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss:` with TLS, "
     "`redis+sentinel:`, `redis+cluster:`), a PostgreSQL "
     "(`postgresql://USER:PASSWORD@HOST/DATABASE`), or `memory:` (nothing "
     "survives; for tests). With a password in it, better from the "
     "environment."},
    {"store.shards", &s::store_shards, shape::integer, "128",
     "Groups of chats; fixed when the store is created.", false, false, 1,
     16'384},
    {"store.synchronous",
     &s::store_synchronous,
     shape::choice,
     "full",
     "`full`: an answered update survives a power cut. `normal`: it survives "
     "a crash of the process only; fewer fsyncs.",
     false,
     false,
     0,
     0,
     {"full", "normal"}},
    {"store.volatile",
     &s::store_volatile,
     shape::choice,
     "refuse",
     "A Redis without an append-only file, or one that evicts keys when its "
     "memory is full, loses updates; so does a PostgreSQL with fsync or "
     "synchronous_commit off: `refuse` it, or `allow` it.",
     false,
     false,
     0,
     0,
     {"refuse", "allow"}},
    {"store.wait_replicas", &s::store_wait_replicas, shape::integer, "0",
     "Redis: replicas that must have a write before it counts as done; a "
     "failover loses nothing only if these are all that a primary has.",
     false, false, 0, 16},
    // -- stats
    {"stats.listen", &s::stats_listen, shape::address, "127.0.0.1:9464",
     "Where /stats, /metrics, /healthz, /readyz and /admin/ are served; empty: "
     "nowhere. Beyond loopback, stats.token must be set.",
     empty_ok},
    {"stats.token", &s::stats_token, shape::text, "",
     "Bearer token for /admin/ and, beyond loopback, /stats; at least 16 "
     "characters. Unset: derived from the bot's token, so that this program "
     "finds it by itself.",
     empty_ok, is_secret},
    {"stats.token_file", &s::stats_token_file, shape::path, "",
     "A file that holds the bearer token and nothing else.", empty_ok},
    // -- limits
    {"limits.global_per_second", &s::limits_global_per_second, shape::integer,
     "30", "Calls per second to all chats together; 0: no limit.", false, false,
     0, 100'000},
    {"limits.chat_per_second", &s::limits_chat_per_second, shape::integer, "1",
     "Calls per second to one private chat; 0: no limit.", false, false, 0,
     10'000},
    {"limits.group_per_minute", &s::limits_group_per_minute, shape::integer,
     "20", "Calls per minute to one group or channel; 0: no limit.", false,
     false, 0, 100'000},
    {"limits.bulk_per_second", &s::limits_bulk_per_second, shape::integer, "20",
     "What campaigns may take of the global budget; 0: no limit.", false, false,
     0, 100'000},
    {"limits.margin_ms", &s::limits_margin_ms, shape::integer, "1000",
     "A call without an answer yet counts as arrived this long after it left, "
     "at the latest.",
     false, false, 0, 60'000},
    {"limits.replies",
     &s::limits_replies,
     shape::choice,
     "counted",
     "Whether answers to a user's own message spend the global budget.",
     false,
     false,
     0,
     0,
     {"counted", "uncounted"}},
    // -- turn
    {"turn.threads", &s::turn_threads, shape::integer, "0",
     "Threads that run handlers; 0: as many as cores.", false, false, 0, 1024},
    {"turn.max_threads", &s::turn_max_threads, shape::integer, "64",
     "Most threads, with the stand-ins for handlers that block.", false, false,
     1, 4096},
    {"turn.attempts", &s::turn_attempts, shape::integer, "3",
     "Times a throwing handler is tried before the update becomes a dead "
     "letter.",
     false, false, 1, 100},
    {"turn.backoff_ms", &s::turn_backoff_ms, shape::integer, "200",
     "Wait before the second attempt; doubles for each one after.", false,
     false, 1, 3'600'000},
    {"turn.deadline_ms", &s::turn_deadline_ms, shape::integer, "10000",
     "A handler that runs longer is reported.", false, false, 10, 3'600'000},
    // -- chat
    {"chat.idle_seconds", &s::chat_idle_seconds, shape::integer, "60",
     "A chat without work for this long leaves memory.", false, false, 1,
     86'400},
    // -- send
    {"send.timeout_ms", &s::send_timeout_ms, shape::integer, "20000",
     "Wait for the answer of a call. Telegram itself may take 8 s over a send, "
     "so less than 15000 would turn successes into unknown outcomes.",
     false, false, 15'000, 600'000},
    {"send.senders", &s::send_senders, shape::integer, "4", "Sender actors.",
     false, false, 1, 64},
    // -- node
    {"node.name", &s::node_name, shape::text, "",
     "This node's name in stats and leases; empty: the host's name.", empty_ok},
    {"node.workers", &s::node_workers, shape::integer, "0",
     "Threads of the actor scheduler; 0: half as many as cores.", false, false,
     0, 1024},
    // -- cluster
    {"cluster.listen", &s::cluster_listen, shape::address, "127.0.0.1:0",
     "Where the other nodes of a Redis store reach this one; port 0: any. "
     "Beyond loopback, the three files below must be set. Empty: nowhere; what "
     "another node accepts for a chat here then waits up to half a second.",
     empty_ok},
    {"cluster.advertise", &s::cluster_advertise, shape::address, "",
     "What the other nodes dial; unset: what was bound. Port 0: the one that "
     "was bound.",
     empty_ok},
    {"cluster.ca", &s::cluster_ca, shape::path, "",
     "PEM; a node shows a certificate of this authority, or is refused.",
     empty_ok},
    {"cluster.certificate", &s::cluster_certificate, shape::path, "",
     "PEM chain that this node shows. Read again with each connection.",
     empty_ok},
    {"cluster.key", &s::cluster_key, shape::path, "",
     "PEM private key of cluster.certificate.", empty_ok},
    // -- overload
    {"overload.max_pending", &s::overload_max_pending, shape::integer, "20000",
     "Accepted updates that wait in memory; over it Telegram is told to come "
     "back (503). Whatever other nodes accept for it, a node keeps at most "
     "twice as many; the rest waits in the store, and from as many on there "
     "every node refuses more of it.",
     false, false, 100, 10'000'000},
    {"overload.max_unsent", &s::overload_max_unsent, shape::integer, "100000",
     "Calls that wait to be sent, some 500 bytes of memory each; over it new "
     "updates are refused (503) until some have left. At 30 calls a second "
     "100000 are an hour's.",
     false, false, 100, 10'000'000},
    // -- drain
    {"drain.seconds", &s::drain_seconds, shape::integer, "10",
     "How long a stop may take to finish turns and calls. What is left stays "
     "in the store.",
     false, false, 0, 3600},
    // -- log
    {"log.level",
     &s::log_level,
     shape::choice,
     "info",
     "Least level that is written to stderr, one JSON object per line.",
     false,
     false,
     0,
     0,
     {"debug", "info", "warn", "error", "off"}},
    // -- tracing
    {"tracing.endpoint", &s::tracing_endpoint, shape::url, "",
     "The OpenTelemetry collector that takes our spans (OTLP over HTTP, JSON), "
     "as http://127.0.0.1:4318; /v1/traces is appended. Unset: no spans are "
     "made.",
     empty_ok},
    {"tracing.sample", &s::tracing_sample, shape::ratio, "1",
     "Which part of the updates is traced, each with all its spans; every node "
     "chooses the same ones."},
    {"tracing.headers", &s::tracing_headers, shape::text, "",
     "Headers for the collector, as an API key: name=value, with commas "
     "between; values may be percent-encoded.",
     empty_ok, is_secret},
    {"tracing.headers_file", &s::tracing_headers_file, shape::path, "",
     "A file that holds these headers and nothing else.", empty_ok},
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t swapped = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, swapped});
    }
  }
  return row.back();
}

}  // namespace

std::span<const key_spec> keys() noexcept {
  return table;
}

const key_spec* find_key(std::string_view name) noexcept {
  const auto at = std::ranges::find(table, name, &key_spec::name);
  return at == std::end(table) ? nullptr : &*at;
}

std::string flag_of(const key_spec& key) {
  std::string out = "--";
  for (const char c : key.name)
    out += c == '.' || c == '_' ? '-' : c;
  return out;
}

std::string environment_of(const key_spec& key) {
  std::string out = "TROUPE_";
  for (const char c : key.name) {
    out += c == '.'
               ? '_'
               : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string type_of(const key_spec& key) {
  switch (key.form) {
    case shape::text: return "text";
    case shape::address: return "host:port";
    case shape::url: return "URL, http:// or https://";
    case shape::path: return "file";
    case shape::integer:
      return "integer, " + std::to_string(key.least) + " to " +
             std::to_string(key.most);
    case shape::ratio: return "number, 0 to 1";
    case shape::choice: break;
  }
  std::string out;
  for (const std::string_view choice : key.choices) {
    if (choice.empty())
      break;
    if (!out.empty())
      out += " | ";
    out += choice;
  }
  return out;
}

std::optional<std::string> nearest(std::string_view wrong,
                                   const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  // Far names are no help: at most a third of the letters may be wrong.
  std::size_t least = std::max<std::size_t>(2, wrong.size() / 3) + 1;
  for (const std::string& name : known) {
    const std::size_t distance = edit_distance(wrong, name);
    if (distance < least) {
      least = distance;
      best = &name;
    }
  }
  if (best == nullptr)
    return std::nullopt;
  return *best;
}

}  // namespace troupe::app
