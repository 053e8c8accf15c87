#include "app/settings.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>

#include "app/settings_check.hpp"
#include "app/settings_file.hpp"
#include "core/log.hpp"
#include "http/client.hpp"

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
  } else if (key.form == shape::ratio) {
    double part = -1;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, part);
    if (code != std::errc{} || stop != end || !(part >= 0 && part <= 1))
      return wrong("a " + type_of(key));
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

/// Registers `user:password@` of a URL, and its password alone.
void add_user_secrets(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t at = url.rfind('@');
  if (scheme == std::string::npos || at == std::string::npos || at < scheme)
    return;
  // An '@' may stand in a path, too; a '/' in a password that nobody encoded.
  std::string user = url.substr(scheme + 3, at - scheme - 3);
  if (url.starts_with("http") && user.find('/') != std::string::npos)
    return;
  if (const auto colon = user.find(':'); colon != std::string::npos)
    log::add_secret(user.substr(colon + 1));
  log::add_secret(std::move(user));
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
    read_secret("tracing.headers");
    if (problems_.empty())
      check_settings(out_.values, problems_, out_.warnings);
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
    add_user_secrets(text);
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
    const bool ratio = key->form == shape::ratio;
    const bool fits = ratio
                          ? one.what == type::real || one.what == type::integer
                      : number ? one.what == type::integer
                               : one.what == type::text;
    if (!fits) {
      std::string is = one.text;
      if (one.what == type::text)
        is = "text";
      if (one.what == type::integer)
        is = "an integer";
      if (one.what == type::real)
        is = "floating-point";
      problem(where, "must be " +
                         std::string{number  ? "an "
                                     : ratio ? "a "
                                             : ""} +
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
      if (at->second.empty() && key.name == "webhook.public_url" &&
          !out_.values.webhook_public_url.empty()) {
        out_.warnings.push_back(known.back() +
                                ": is set and empty, which beats "
                                "webhook.public_url of the file; unset it");
      }
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
      // Without the file's name: it may be the secret, put in the wrong place.
      problem(name + "_file", text.error().context.substr(file.size() + 2));
      return;
    }
    while (!text->empty() &&
           std::isspace(static_cast<unsigned char>(text->back()))) {
      text->pop_back();
    }
    if (text->empty()) {
      problem(name + "_file", "the file is empty");
      return;
    }
    log::add_secret(*text);
    slot = *text;
    out_.from[name] = other;
  }

  const sources& from_;
  loaded out_;
  std::vector<std::string> problems_;
};

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

std::string shown_store(const std::string& url) {
  if (url.starts_with("sqlite:") || url == "memory:")
    return url;
  const std::string scheme = url.substr(0, url.find(':'));
  const bool letters = std::ranges::all_of(scheme, [](char c) {
    return std::islower(static_cast<unsigned char>(c));
  });
  return letters && scheme.size() < url.size() ? scheme + ":***" : "***";
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
