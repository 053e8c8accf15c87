#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/callback.hpp"
#include "core/clock.hpp"
#include "store/redis_reply.hpp"
#include "store/redis_url.hpp"

namespace troupe::store::redis {

/// A Lua script and its SHA-1, computed once. Copies share both.
/// **Threads**: any.
class script {
 public:
  explicit script(std::string text);

  const std::string& text() const noexcept { return data_->text; }
  /// 40 lower-case hex digits, as EVALSHA wants them.
  const std::string& sha() const noexcept { return data_->sha; }
  /// Small, and unique in the process.
  std::size_t number() const noexcept { return data_->number; }

 private:
  struct data {
    std::string text;
    std::string sha;
    std::size_t number;
  };

  std::shared_ptr<const data> data_;
};

/// One argument of a command: a text of its own, a number, or a payload that is
/// shared instead of copied (null: empty).
class arg {
 public:
  arg(std::string text) : value_{std::move(text)} {}
  arg(std::string_view text) : value_{std::string{text}} {}
  arg(const char* text) : value_{std::string{text}} {}
  arg(std::shared_ptr<const std::string> payload)
      : value_{std::move(payload)} {}
  template <std::integral Number>
  requires(!std::same_as<Number, bool> && !std::same_as<Number, char>)
      arg(Number n)
      : value_{std::to_string(n)} {}

  std::string_view view() const noexcept {
    if (const auto* own = std::get_if<std::string>(&value_))
      return *own;
    const auto& shared =
        *std::get_if<std::shared_ptr<const std::string>>(&value_);
    return shared ? std::string_view{*shared} : std::string_view{};
  }

 private:
  std::variant<std::string, std::shared_ptr<const std::string>> value_;
};

/// How to treat a command.
struct how {
  /// It reads, or it is a write that may safely be done twice. After a lost
  /// connection it is sent again by itself until its time is over.
  bool repeatable = false;
  /// From the call on; 0: what the URL or the client's options say.
  milliseconds timeout{0};
  /// It only reads: `client_options::wait_replicas` is not for it.
  bool reads = false;
};

/// A command on its way. What the client's parts hand to each other.
struct command {
  std::optional<script> code;      ///< none: a plain command
  std::vector<std::string> words;  ///< the keys of a script, or all words
  std::vector<arg> args;           ///< of a script
  async::callback<reply> done;
  mono_time deadline = mono_time::max();
  std::uint16_t slot = 0;
  bool repeatable = false;
  bool reads = false;
  bool pinned = false;      ///< to its node, whatever the slot map says
  bool asking = false;      ///< ASKING goes before it
  bool doubt = false;       ///< it may have been done by an earlier connection
  std::uint8_t misses = 0;  ///< how often the server lacked its script
  std::uint8_t hops = 0;    ///< how often it was sent to another node

  /// Teaching its script did not help: it goes along as text.
  bool in_full() const noexcept { return misses > 1; }
};

using command_ptr = std::unique_ptr<command>;

/// The scripts that were ever asked for, and whether the server at the other
/// end has been taught them. All are taught in one step (MULTI), so that what
/// makes a server forget (SCRIPT FLUSH) makes it forget all or none of them.
class script_shelf {
 public:
  void add(const script& code);
  /// Of one that was added.
  bool taught(const script& code) const noexcept {
    return taught_[code.number()];
  }
  /// The server knows none of them.
  void forgotten() noexcept { taught_.assign(added_.size(), false); }
  /// There is one only: its text and then its SHA-1 do as well.
  bool alone() const noexcept { return all_.size() == 1; }
  /// The server got this one's text.
  void told(const script& code) { taught_[code.number()] = true; }
  /// Appends what teaches all of them. @returns how many replies that brings
  unsigned append_lesson(std::string& out);

 private:
  std::vector<script> all_;
  std::vector<bool> added_, taught_;
};

/// Appends `what` in RESP, a script by its SHA-1 or by its text.
/// @returns how many replies come before that of the command itself
unsigned append_command(std::string& out, const command& what, bool as_text);

/// Appends plain words in RESP.
void append_words(std::string& out, const std::vector<std::string>& words);

}  // namespace troupe::store::redis
