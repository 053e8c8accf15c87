#include "app/settings.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>

#include "app/settings_file.hpp"
#include "core/log.hpp"
#include "http/client.hpp"
#include "telegram/call.hpp"

namespace troupe::app {
namespace {

bool starts_with_scheme(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

/// Puts a value given as text into its slot; says what is wrong with it.
std::optional<std::string> assign(settings& to, const key_spec& key,
                                  const std::string& text) {
  const auto wrong = [&](const std::string& must) -> std::string {
    // A secret or a URL may stand in the value, so they are not echoed.
    const bool quiet = key.secret || key.form == shape::url;
    return (quiet ? "the value" : '"' + text + '"') + " must be " + must;
  };
  if (key.form == shape::integer) {
    std::int64_t n = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, n);
    if (code == std::errc{} && stop == end && !text.empty()) {
      if (n < key.least || n > key.most) {
        return text + " is out of range: " + type_of(key);
      }
      to.*std::get<std::int64_t settings::*>(key.slot) = n;
      return std::nullopt;
    }
    return wrong("an " + type_of(key));
  }
  if (text.empty()) {
    if (!key.may_be_empty)
      return "must not be empty: " + type_of(key);
  } else if (key.form == shape::choice) {
    if (std::ranges::find(key.choices, text) == key.choices.end()) {
      return wrong("one of " + type_of(key));
    }
  } else if (key.form == shape::address) {
    if (const auto parsed = parse_endpoint(text); !parsed) {
      return wrong("host:port (" + parsed.error().context + ')');
    }
  } else if (key.form == shape::url) {
    if (!starts_with_scheme(text))
      return wrong("a " + type_of(key));
    if (const auto parsed = http::parse_origin(text); !parsed) {
      return "the value is no usable URL: " + parsed.error().context;
    }
  }
  to.*std::get<std::string settings::*>(key.slot) = text;
  return std::nullopt;
}

/// Collects what is wrong, so that a person sees all of it at once.
class reader {
 public:
  explicit reader(const sources& from) : from_{from} {
    out_.values = default_settings();
    out_.file = from.file;
  }

  result<loaded> run() {
    read_file();
    read_environment();
    read_flags();
    read_secret("bot.token");
    read_secret("webhook.secret");
    read_secret("stats.token");
    if (problems_.empty())
      cross_check();
    if (problems_.empty())
      return std::move(out_);
    std::string all;
    for (const std::string& one : problems_) {
      if (!all.empty())
        all += '\n';
      all += scrub(log::redact(one));
    }
    return error{errc::bad_input, all};
  }

 private:
  void problem(const std::string& where, const std::string& what) {
    problems_.push_back(where + ": " + what);
  }

  void take(const key_spec& key, const std::string& text, origin source,
            const std::string& where) {
    // Registered before anything can go wrong with it.
    if (key.secret)
      log::add_secret(text);
    if (const auto bad = assign(out_.values, key, text)) {
      problem(where, *bad);
      return;
    }
    out_.from[std::string{key.name}] = source;
  }

  void read_file() {
    if (from_.file.empty())
      return;
    const auto values = read_toml(from_.file);
    if (!values) {
      problems_.push_back(values.error().context);
      return;
    }
    for (const file_value& one : *values)
      read_file_value(one);
  }

  void read_file_value(const file_value& one) {
    const std::string where =
        from_.file + ':' + std::to_string(one.line) + ": " + one.name;
    using type = file_value::type;
    if (one.what == type::empty_section) {
      const std::string section = one.name + '.';
      if (std::ranges::none_of(keys(), [&](const key_spec& key) {
            return key.name.starts_with(section);
          })) {
        problem(where, "unknown section");
      }
      return;
    }
    const key_spec* key = find_key(one.name);
    if (key == nullptr) {
      unknown_in_file(where, one.name);
      return;
    }
    if (key->secret) {
      if (one.what == type::text)
        log::add_secret(one.text);
      problem(where,
              "a secret does not belong into this file, which gets "
              "copied and committed: set " +
                  environment_of(*key) + ", or " + one.name +
                  "_file to a file that holds it");
      return;
    }
    const bool number = key->form == shape::integer;
    if (one.what != (number ? type::integer : type::text)) {
      std::string is = one.text;
      if (one.what == type::text)
        is = "text";
      if (one.what == type::integer)
        is = "an integer";
      problem(where, "must be " + std::string{number ? "an " : ""} +
                         type_of(*key) + ", not " + is);
      return;
    }
    take(*key, one.text, origin::file, where);
  }

  void unknown_in_file(const std::string& where, const std::string& name) {
    std::vector<std::string> known;
    for (const key_spec& key : keys())
      known.emplace_back(key.name);
    std::string text = "unknown key";
    if (const auto near = nearest(name, known)) {
      text += "; did you mean " + *near + '?';
    }
    problem(where, text);
  }

  void read_environment() {
    std::vector<std::string> known{"TROUPE_CONFIG"};
    for (const key_spec& key : keys()) {
      known.push_back(environment_of(key));
      const auto at = from_.environment.find(known.back());
      if (at == from_.environment.end())
        continue;
      // Compose files and unit files pass what is unset as empty.
      if (at->second.empty() && !key.may_be_empty)
        continue;
      take(key, at->second, origin::environment, known.back());
    }
    for (const auto& [name, value] : from_.environment) {
      if (!name.starts_with("TROUPE_"))
        continue;
      if (std::ranges::find(known, name) != known.end())
        continue;
      std::string text = name + ": unknown variable, ignored";
      if (const auto near = nearest(name, known)) {
        text += "; did you mean " + *near + '?';
      }
      out_.warnings.push_back(text);
    }
  }

  void read_flags() {
    for (const auto& [name, text] : from_.flags) {
      const key_spec* key = find_key(name);
      TROUPE_CHECK(key != nullptr);
      take(*key, text, origin::flag, flag_of(*key));
    }
  }

  origin source_of(const std::string& name) const {
    const auto at = out_.from.find(name);
    return at == out_.from.end() ? origin::fallback : at->second;
  }

  /// A secret's own variable and its `_file`: the higher source wins.
  void read_secret(const std::string& name) {
    const key_spec& key = *find_key(name);
    const key_spec& file_key = *find_key(name + "_file");
    auto& slot = out_.values.*std::get<std::string settings::*>(key.slot);
    const auto& file =
        out_.values.*std::get<std::string settings::*>(file_key.slot);
    const origin own = source_of(name);
    const origin other = source_of(name + "_file");
    if (file.empty())
      return;
    if (!slot.empty() && own == other) {
      problem(environment_of(key), "and " + name +
                                       "_file are both set; "
                                       "keep one");
      return;
    }
    if (!slot.empty() && own > other)
      return;
    auto text = read_small_file(file, 4096);
    if (!text) {
      problem(name + "_file", text.error().context);
      return;
    }
    while (!text->empty() &&
           std::isspace(static_cast<unsigned char>(text->back()))) {
      text->pop_back();
    }
    if (text->empty()) {
      problem(name + "_file", file + ": is empty");
      return;
    }
    log::add_secret(*text);
    slot = *text;
    out_.from[name] = other;
  }

  void cross_check();
  void check_secrets();
  void check_webhook();

  const sources& from_;
  loaded out_;
  std::vector<std::string> problems_;
};

void reader::check_secrets() {
  const settings& v = out_.values;
  if (!v.bot_token.empty()) {
    std::string why;
    const bool official =
        v.bot_api_root.find("//api.telegram.org") != std::string::npos;
    // Other servers (a simulator) take short ones; but it goes into a path.
    const bool fits_a_path = std::ranges::all_of(v.bot_token, [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == ':' ||
             c == '_' || c == '-';
    });
    if (official && !telegram::valid_token(v.bot_token, &why)) {
      problem("bot.token", "is no bot token: " + why);
    } else if (!fits_a_path) {
      problem("bot.token", "must be made of A-Z a-z 0-9 : _ - only");
    }
  }
  if (!v.webhook_secret.empty() && !telegram::valid_secret(v.webhook_secret)) {
    problem("webhook.secret", "must be 1-256 of A-Z a-z 0-9 _ -");
  }
  if (!v.stats_token.empty() && v.stats_token.size() < 16) {
    problem("stats.token", "must have at least 16 characters");
  }
}

void reader::check_webhook() {
  const settings& v = out_.values;
  if (v.webhook_path.front() != '/' ||
      v.webhook_path.find_first_of("?# ") != std::string::npos) {
    problem("webhook.path", "must start with '/' and have no '?', '#', ' '");
  }
  if (v.webhook_certificate.empty() != v.webhook_key.empty()) {
    problem("webhook.certificate",
            "and webhook.key belong together; one of "
            "them is not set");
  }
  if (v.bot_mode == "polling" && !v.webhook_public_url.empty()) {
    out_.warnings.push_back(
        "webhook.public_url: ignored, since bot.mode is polling");
  }
  const auto listen = parse_endpoint(v.webhook_listen);
  if (v.bot_mode == "webhook" && v.webhook_secret.empty() &&
      v.webhook_public_url.empty() && listen && !listen->loopback()) {
    out_.warnings.push_back(
        "webhook.secret: not set, so whoever reaches webhook.listen can post "
        "updates; set TROUPE_WEBHOOK_SECRET");
  }
}

void reader::cross_check() {
  const settings& v = out_.values;
  check_secrets();
  check_webhook();
  if (!v.stats_listen.empty()) {
    const auto listen = parse_endpoint(v.stats_listen);
    if (listen && !listen->loopback() && v.stats_token.empty()) {
      problem("stats.listen", '"' + v.stats_listen +
                                  "\" is reachable from outside, so "
                                  "stats.token must be set "
                                  "(TROUPE_STATS_TOKEN or stats.token_file)");
    }
  }
  if (v.turn_threads > v.turn_max_threads) {
    problem("turn.threads", "must not be over turn.max_threads");
  }
  if (v.limits_global_per_second != 0 &&
      v.limits_bulk_per_second > v.limits_global_per_second) {
    out_.warnings.push_back(
        "limits.bulk_per_second: over limits.global_per_second, which holds");
  }
}

}  // namespace

settings default_settings() {
  settings out;
  for (const key_spec& key : keys()) {
    TROUPE_CHECK(!assign(out, key, std::string{key.fallback}));
  }
  return out;
}

result<loaded> load_settings(const sources& from) {
  return reader{from}.run();
}

std::string config_file(const std::optional<std::string>& flag,
                        const std::map<std::string, std::string>& environment) {
  if (flag)
    return *flag;
  const auto at = environment.find("TROUPE_CONFIG");
  if (at != environment.end() && !at->second.empty())
    return at->second;
  std::error_code ignored;  // can't be looked at: reading it would tell why
  return std::filesystem::exists("troupe.toml", ignored) ? "troupe.toml" : "";
}

std::string scrub(std::string text) {
  const auto token_char = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  };
  for (std::size_t colon = text.find(':'); colon != std::string::npos;
       colon = text.find(':', colon + 1)) {
    std::size_t first = colon;
    while (first > 0 &&
           std::isdigit(static_cast<unsigned char>(text[first - 1]))) {
      --first;
    }
    std::size_t last = colon + 1;
    while (last < text.size() && token_char(text[last]))
      ++last;
    if (first == colon || last - colon <= 20)
      continue;
    text.replace(first, last - first, "***");
    colon = first;
  }
  return text;
}

bool endpoint::loopback() const noexcept {
  return host == "::1" || host.starts_with("127.");
}

result<endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [](const char* what) {
    return error{errc::bad_input, what};
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return wrong("the port is missing");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[')) {
    if (!host.ends_with(']'))
      return wrong("']' is missing");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong("an IPv6 address goes into brackets");
  }
  endpoint out;
  const char* const end = digits.data() + digits.size();
  const auto [stop, code] = std::from_chars(digits.data(), end, out.port);
  if (code != std::errc{} || stop != end || digits.empty()) {
    return wrong("the port must be 0 to 65535");
  }
  out.host = host;
  if (host.empty())
    out.host = "0.0.0.0";
  if (host == "localhost")
    out.host = "127.0.0.1";
  return out;
}

}  // namespace troupe::app
