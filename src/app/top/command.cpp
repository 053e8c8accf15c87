#include "app/top/command.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "app/top/frame.hpp"
#include "app/top/terminal.hpp"
#include "core/json.hpp"
#include "http/client.hpp"
#include "net/loop.hpp"

namespace troupe::app::top {
namespace {

constexpr const char* help =
    "A running bot in a terminal: what the dashboard shows, once a second.\n"
    "Ends with q or Ctrl-C.\n\n"
    "  troupe top\n"
    "  troupe top --url http://10.0.0.7:9464 --token-file stats.token\n"
    "  troupe top --once          one picture, for scripts (data: BOT stats "
    "--json)";

constexpr milliseconds refresh{1'000};
constexpr milliseconds patience{5'000};
constexpr std::size_t longest_token = 4'096;

struct flags {
  std::string url = "http://127.0.0.1:9464";
  std::string token_file;
  bool once = false;
};

/// What was heard of the node last.
struct heard {
  json::object stats;
  std::string trouble;
};

/// Reads a page of /stats. @returns why it can't be shown; empty: it can
std::string read_page(unsigned status, const std::string& body, heard& into) {
  auto parsed = parse_json(body);
  const auto page = parsed ? parsed->if_object() : nullptr;
  if (status == 401)
    return "it wants the token: --token-file, or TROUPE_STATS_TOKEN";
  if (status != 200 || page == nullptr) {
    const auto why = page ? page->if_contains("error") : nullptr;
    return "HTTP status " + std::to_string(status) +
           (why && why->is_string() ? ": " + std::string{why->get_string()}
                                    : "");
  }
  into.stats = std::move(*page);
  return {};
}

/// Asks a node for its figures, one question at a time.
class asker {
 public:
  static result<std::unique_ptr<asker>> make(const http::origin& to,
                                             std::string token,
                                             std::function<void()> answered) {
    std::unique_ptr<asker> out{new asker};
    out->token_ = std::move(token);
    out->answered_ = std::move(answered);
    http::client_options how;
    how.max_connections = 1;
    how.connect_timeout = milliseconds{3'000};
    how.max_body = 16 << 20;
    auto client = http::client::make(out->loop_, to, how);
    if (!client)
      return client.error();
    out->client_ = std::move(*client);
    return out;
  }
  ~asker() { client_->close(); }

  /// Does nothing while an answer is still to come.
  void ask() {
    {
      const std::lock_guard lock{mutex_};
      if (std::exchange(asking_, true))
        return;
    }
    http::request what;
    what.target = "/stats";
    if (!token_.empty())
      what.headers.add("Authorization", "Bearer " + token_);
    client_->send(std::move(what), patience, [this](auto got) {
      {
        const std::lock_guard lock{mutex_};
        asking_ = false;
        fresh_ = true;
        last_.trouble = got ? read_page(got->status, got->body, last_)
                            : "no answer (" + got.error().what.context + ")";
      }
      answered_();
    });
  }
  /// What came since the last time; nothing: nothing did.
  std::optional<heard> take() {
    const std::lock_guard lock{mutex_};
    if (!std::exchange(fresh_, false))
      return std::nullopt;
    return last_;
  }

 private:
  asker() = default;

  std::string token_;
  std::function<void()> answered_;
  std::mutex mutex_;
  bool asking_ = false;
  bool fresh_ = false;
  heard last_;
  net::loop loop_;
  std::unique_ptr<http::client> client_;
};

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[16] = "";
  if (::localtime_r(&now, &parts) != nullptr)
    std::strftime(text, sizeof text, "%H:%M:%S", &parts);
  return text;
}

int fail(const std::string& why) {
  std::fprintf(stderr, "troupe top: %s\n", why.c_str());
  return 1;
}

/// The token's file, or TROUPE_STATS_TOKEN, as the bot itself takes it.
result<std::string> read_token(const std::string& file) {
  if (file.empty()) {
    const char* const set = std::getenv("TROUPE_STATS_TOKEN");
    return std::string{set == nullptr ? "" : set};
  }
  std::ifstream in{file};
  std::string text(longest_token, '\0');
  in.read(text.data(), std::streamsize(text.size()));
  text.resize(std::size_t(in.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  if (text.empty())
    return error{errc::bad_input, "--token-file: no token in " + file};
  return text;
}

int watch(const flags& f, const http::origin& to, std::string token) {
  terminal screen{f.once};
  auto node = asker::make(to, std::move(token), [&] { screen.wake(); });
  if (!node)
    return fail(node.error().context);
  heard last;
  link_state how{f.url, "", "connecting"};
  auto next = mono_now();
  for (bool changed = !f.once;;) {
    if (mono_now() >= next) {
      (*node)->ask();
      next = mono_now() + refresh;
    }
    if (auto came = (*node)->take()) {
      how.trouble = came->trouble;
      // Old figures stay, with what is wrong above them.
      if (came->trouble.empty())
        how.clock = time_of_day();
      if (!came->stats.empty())
        last.stats = std::move(came->stats);
      if (f.once && !how.trouble.empty())
        return fail(f.url + ": " + how.trouble);
      changed = true;
    }
    if (std::exchange(changed, false)) {
      if (!screen.draw(frame(last.stats, how, screen.size())))
        return 1;
      if (f.once)
        return 0;
    }
    const auto left = std::chrono::ceil<milliseconds>(next - mono_now());
    switch (screen.wait(left)) {
      case terminal::news::quit: return 0;
      case terminal::news::resized: changed = true; break;
      case terminal::news::woken:
      case terminal::news::nothing: break;
    }
  }
}

}  // namespace

void add_command(CLI::App& root, int& exit_code) {
  auto f = std::make_shared<flags>();
  auto command = root.add_subcommand("top", help);
  command->add_option("--url", f->url, "The bot's stats listener")
      ->capture_default_str();
  command->add_option("--token-file", f->token_file,
                      "A file with the bearer token; else TROUPE_STATS_TOKEN. "
                      "Needed where the listener is not on loopback");
  command->add_flag("--once", f->once,
                    "One picture and no more; exit code 1 if there is none");
  command->callback([f, &exit_code] {
    const auto to = http::parse_origin(f->url);
    if (!to)
      throw CLI::ValidationError("--url: " + to.error().context);
    auto token = read_token(f->token_file);
    if (!token) {
      exit_code = fail(token.error().context);
      return;
    }
    exit_code = watch(*f, *to, std::move(*token));
  });
}

}  // namespace troupe::app::top
