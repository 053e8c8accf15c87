#include "store/redis_greeting.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "store/redis_command.hpp"

namespace troupe::store::redis {

namespace {

/// CLUSTER SLOTS of a thousand nodes takes a few hundred kilobytes.
constexpr std::size_t most_bytes = 16 * 1024 * 1024;

bool begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

/// A server that is starting, full or busy: not for long.
bool passing(std::string_view text) {
  constexpr std::array<std::string_view, 5> all{"LOADING", "BUSY", "MASTERDOWN",
                                                "CLUSTERDOWN",
                                                "ERR max number of clients"};
  return std::any_of(all.begin(), all.end(),
                     [&](std::string_view one) { return begins(text, one); });
}

}  // namespace

greeting::greeting(terms what) : what_{std::move(what)}, reader_{most_bytes} {
  if (what_.password)
    steps_.push_back(step::login);
  steps_.push_back(step::name);
  if (what_.db != 0)
    steps_.push_back(step::db);
  if (!what_.any_role) {
    steps_.push_back(step::role);
    steps_.push_back(step::ping);
  }
  if (!what_.question.empty())
    steps_.push_back(step::question);
}

std::string greeting::bytes() const {
  std::string out;
  for (const auto one : steps_)
    switch (one) {
      case step::login:
        if (what_.user.empty())
          append_words(out, {"AUTH", *what_.password});
        else
          append_words(out, {"AUTH", what_.user, *what_.password});
        break;
      case step::name:
        append_words(out, {"CLIENT", "SETNAME", what_.name});
        break;
      case step::db:
        append_words(out, {"SELECT", std::to_string(what_.db)});
        break;
      case step::role: append_words(out, {"ROLE"}); break;
      case step::ping: append_words(out, {"PING"}); break;
      case step::question: append_words(out, what_.question); break;
    }
  return out;
}

greeting::status greeting::feed(std::string_view bytes) {
  reader_.feed(bytes);
  while (at_ < steps_.size()) {
    auto got = reader_.next();
    if (!got) {
      failure_ = {"it is no Redis server: " + got.error().context, false};
      return status::failed;
    }
    if (!*got)
      return status::more;
    if (!take(steps_[at_++], std::move(**got)))
      return status::failed;
  }
  return status::done;
}

bool greeting::take(step which, reply&& got) {
  if (got.is_error() && begins(got.text, "NOAUTH"))
    return refuse("it wants a password", got.text);
  // Before anything is looked at, and then the connection is closed.
  if (got.is_error() && (begins(got.text, "DENIED") ||
                         begins(got.text, "ERR max number of clients")))
    return refuse("it accepts no connection", got.text);
  switch (which) {
    case step::login:
      return !got.is_error() || refuse("it refused the login", got.text);
    case step::name: return true;  // a nicety that an ACL may forbid
    case step::db:
      return !got.is_error() ||
             refuse("it refused database " + std::to_string(what_.db),
                    got.text);
    case step::role: return take_role(got);
    case step::ping: return take_ping(got);
    case step::question:
      answer_ = std::move(got);
      return !answer_.is_error() || refuse("it answered", answer_.text);
  }
  return true;
}

bool greeting::take_role(const reply& got) {
  // Who may not ask (an ACL), or asks a proxy, hears it from the writes.
  if (got.type != reply::kind::list || got.items.empty())
    return true;
  const auto& role = got.items[0].text;
  if (role == "sentinel") {
    failure_ = {"it is a Sentinel; redis+sentinel:// is for those", true};
    return false;
  }
  if (role != "slave")
    return true;
  failure_ = {"it is a replica", false};
  return false;
}

bool greeting::take_ping(const reply& got) {
  // Others (NOPERM, MISCONF) do not stop what commands may do.
  return !got.is_error() || !passing(got.text) ||
         refuse("it is not ready", got.text);
}

bool greeting::refuse(const std::string& what, const std::string& text) {
  // The words of a server that knows no AUTH repeat its arguments.
  auto quoted = text;
  for (const auto* secret :
       {&what_.user, what_.password ? &*what_.password : nullptr}) {
    if (secret == nullptr || secret->empty())
      continue;
    for (auto at = quoted.find(*secret); at != std::string::npos;
         at = quoted.find(*secret, at + 3))
      quoted.replace(at, secret->size(), "***");
  }
  failure_ = {what + ": " + quoted, !passing(text)};
  return false;
}

}  // namespace troupe::store::redis
