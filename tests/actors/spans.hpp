#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "core/span.hpp"
#include "tests/actors/rig.hpp"

/// Where nodes of a test put their spans.
namespace troupe::testing {

using tracing::span;

class span_box final : public tracing::sink {
 public:
  void take(span what) noexcept override {
    const std::lock_guard guard{lock_};
    all_.push_back(std::move(what));
  }
  std::vector<span> all() const {
    const std::lock_guard guard{lock_};
    return all_;
  }
  std::vector<span> named(const std::string& name) const {
    auto out = all();
    std::erase_if(out, [&](auto& s) { return s.name != name; });
    return out;
  }
  std::vector<span> of(const tracing::trace_id& trace) const {
    auto out = all();
    std::erase_if(out, [&](auto& s) { return s.trace != trace; });
    return out;
  }

 private:
  mutable std::mutex lock_;
  std::vector<span> all_;
};

inline actors::node_options traced(actors::node_options how, span_box& into) {
  how.tracing.into = &into;
  how.tracing.server_address = "api.example";
  how.tracing.server_port = 443;
  return how;
}

/// The value of an attribute as text; "-" if it is not there.
inline std::string value_of(const span& in, const std::string& key) {
  for (auto& a : in.with) {
    if (a.key != key)
      continue;
    if (auto* text = std::get_if<std::string>(&a.value))
      return *text;
    if (auto* n = std::get_if<std::int64_t>(&a.value))
      return std::to_string(*n);
    return std::get<bool>(a.value) ? "true" : "false";
  }
  return "-";
}

/// The one span of that name.
inline span only(const std::vector<span>& all, const std::string& name) {
  std::vector<span> found;
  std::copy_if(all.begin(), all.end(), std::back_inserter(found),
               [&](auto& s) { return s.name == name; });
  INFO(name);
  REQUIRE(found.size() == 1);
  return found[0];
}

/// Each has its own id; parents are there, and nothing ends before it begins.
inline void check_trace(const std::vector<span>& all) {
  for (auto& s : all) {
    INFO(s.name);
    CHECK(s.start_ns <= s.end_ns);
    CHECK(s.start_ns > 0);
    CHECK(std::count_if(all.begin(), all.end(),
                        [&](auto& o) { return o.id == s.id; }) == 1);
    if (s.parent != tracing::span_id{})
      CHECK(std::any_of(all.begin(), all.end(),
                        [&](auto& o) { return o.id == s.parent; }));
  }
}

}  // namespace troupe::testing
