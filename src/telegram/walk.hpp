#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/ids.hpp"
#include "core/result.hpp"
#include "telegram/text.hpp"
#include "telegram/update.hpp"

/// Private to this module.
namespace troupe::telegram::detail {

/// Walks over a JSON text once. simdjson finds the structure and checks the
/// UTF-8; the walk itself checks every scalar and bracket it passes, which
/// on-demand parsing leaves out, so a text that was walked over is JSON.
///
/// A visitor returns false to give up, and is otherwise done with its value
/// when it returns: it handed it to one of the functions below. Each of them
/// checks what it is given, whatever its type; what has the wrong type is as
/// good as absent. A member that was found is not replaced by a second one of
/// the same name.
///
/// **Lifetime**: keys are valid until the next key is read, other views as
/// long as the walk. **Threads**: one walk per thread at a time.
class walk {
 public:
  using value = simdjson::ondemand::value;

  /// As Telegram's own server has it (TELEGRAM.md 5).
  static constexpr int max_depth = 100;

  explicit walk(std::string_view text);
  ~walk();
  walk(const walk&) = delete;
  walk& operator=(const walk&) = delete;

  /// Visits the members of the outermost object, `visit(key, value&)`, and
  /// makes sure that nothing follows it.
  template <class Visit>
  bool root(Visit&& visit) {
    simdjson::ondemand::object object;
    return open(object) && each_member(object, visit) && closed();
  }

  template <class Visit>
  bool members(value& of, Visit&& visit) {
    simdjson::ondemand::object object;
    if (token(of).front() != '{')
      return check(of);
    if (of.get_object().get(object))
      return malformed();
    return each_member(object, visit);
  }

  /// Visits the elements of an array, `visit(value&)`.
  template <class Visit>
  bool elements(value& of, Visit&& visit) {
    simdjson::ondemand::array array;
    if (token(of).front() != '[')
      return check(of);
    if (of.get_array().get(array))
      return malformed();
    if (++depth_ > max_depth)
      return fail("nested over 100 levels");
    for (auto next : array) {
      value element;
      if (std::move(next).get(element))
        return malformed();
      if (!visit(element))
        return false;
    }
    --depth_;
    return true;
  }

  /// Passes over anything.
  bool check(value& of);
  /// An integer, or one in a string, unless `out` has one already.
  bool integer(value& of, std::int64_t& out);
  /// A string, unless `out` has one already.
  bool text(value& of, std::string& out);
  bool flag(value& of, bool& out);
  /// The characters of a string as they stand, or of a number.
  bool raw(value& of, std::string_view& out);

  /// The value's first token as it stands; never empty.
  static std::string_view token(value& of) noexcept;

  bool fail(std::string why);
  /// Why it stopped, if it did.
  error reason() const { return {errc::bad_input, why_}; }

 private:
  struct workspace;

  bool open(simdjson::ondemand::object& out);
  bool closed();
  bool malformed() { return fail("not well-formed JSON"); }
  bool key(const char* at, std::string_view& out);

  template <class Visit>
  bool each_member(simdjson::ondemand::object& of, Visit& visit) {
    if (++depth_ > max_depth)
      return fail("nested over 100 levels");
    for (auto next : of) {
      simdjson::ondemand::field member;
      std::string_view name;
      if (std::move(next).get(member))
        return malformed();
      if (!key(member.key().raw(), name) || !visit(name, member.value()))
        return false;
    }
    --depth_;
    return true;
  }

  std::unique_ptr<workspace> own_;
  workspace* in_;
  simdjson::ondemand::document document_;
  std::string_view text_;
  std::string key_;
  std::string why_;
  int depth_ = 0;
};

/// What every update begins with.
struct envelope {
  update_id id;
  update_kind kind = update_kind::none;
};

/// Walks over an update: `payload(kind, value&)` gets the member that the
/// update is about. It is called again only if that member was of an unknown
/// kind and a known one follows; the later call counts.
template <class Payload>
result<envelope> read_envelope(walk& over, Payload&& payload) {
  envelope out;
  std::int64_t id = -1;
  bool has_id = false;
  bool well = over.root([&](std::string_view key, walk::value& value) {
    if (key == "update_id" && !has_id) {
      has_id = true;
      std::string_view digits;
      if (!over.raw(value, digits))
        return false;
      auto read = parse_integer(digits);
      if (!read)
        return over.fail("update_id is not a 64-bit integer");
      id = *read;
      return true;
    }
    // A null is how some write "absent".
    if (key == "update_id" || walk::token(value) == "null")
      return over.check(value);
    auto kind = parse_update_kind(key);
    if (out.kind != update_kind::none &&
        (out.kind != update_kind::unknown || kind == update_kind::unknown))
      return over.check(value);
    out.kind = kind;
    return payload(kind, value);
  });
  if (!well)
    return over.reason();
  if (id < 0)
    return error{errc::bad_input,
                 has_id ? "update_id is negative" : "update_id is missing"};
  out.id = update_id{id};
  return out;
}

}  // namespace troupe::telegram::detail
