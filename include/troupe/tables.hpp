#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "troupe/events.hpp"

namespace troupe {

namespace detail {

/// Telegram shows commands in lower case, people write them as they like.
bool same_name(std::string_view entry, const command& c) noexcept;
inline bool same_name(std::string_view entry, const callback& q) noexcept {
  return entry == q.data;
}
inline bool same_name(std::string_view entry, const timer& t) noexcept {
  return entry == t.name;
}

[[noreturn]] void bad_entry(std::string_view name, const char* why);

}  // namespace detail

/// Handlers chosen by name: one member of a behaviour for many commands,
/// buttons or timers.
///
/// ```cpp
/// return {
///   commands{
///     {"start", [=](const command&) { ctx->reply("Hello."); }},
///     {"*", [=](const command& c) { ctx->reply("No /" + c.name); }},
///   },
/// };
/// ```
///
/// The entry "*" takes what has no entry of its own. Without one, the event is
/// offered on, see events.hpp. Of two tables (or a table and a handler) of one
/// event in a behaviour only the first is asked: that is CAF's rule.
///
/// **Errors**: std::logic_error for an empty or repeated name, or an empty
/// handler.
/// **Cost**: one allocation; copies share it. Entries are compared in turn.
template <class Event>
class table {
 public:
  struct entry {
    std::string name;
    std::function<void(const Event&)> run;
  };

  table(std::initializer_list<entry> entries)
      : entries_{std::make_shared<entry[]>(entries.size())},
        size_{entries.size()} {
    std::size_t n = 0;
    for (const auto& e : entries) {
      if (e.name.empty() || !e.run)
        detail::bad_entry(e.name, "needs a name and a handler");
      for (std::size_t i = 0; i < n; ++i)
        if (entries_[static_cast<std::ptrdiff_t>(i)].name == e.name)
          detail::bad_entry(e.name, "stands twice");
      entries_[static_cast<std::ptrdiff_t>(n++)] = e;
    }
  }

  /// Runs the entry that fits. False: there is none, and nothing was run.
  bool operator()(const Event& event) const {
    const entry* found = nullptr;
    for (const entry* e = entries_.get(); e != entries_.get() + size_; ++e) {
      if (detail::same_name(e->name, event)) {
        found = e;
        break;
      }
      if (e->name == "*")
        found = e;
    }
    if (!found)
      return false;
    found->run(event);
    return true;
  }

 private:
  std::shared_ptr<entry[]> entries_;
  std::size_t size_;
};

/// By the command's name, without '/', in any case of letters.
using commands = table<command>;
/// By the pressed button's data, exactly.
using callbacks = table<callback>;
/// By the timer's name, exactly.
using timers = table<timer>;

}  // namespace troupe
