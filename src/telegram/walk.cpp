#include "telegram/walk.hpp"

#include <cstring>
#include <vector>

namespace troupe::telegram::detail {

namespace {

// Larger texts get a workspace of their own, so that one 10 MB update does not
// make a thread hold on to 60 MB.
constexpr std::size_t kept_size = 256 * 1024;

}  // namespace

// simdjson reads up to SIMDJSON_PADDING bytes past the end. A caller's string
// may not own that many, and a copy of a typical update costs less than 2 % of
// the walk.
struct walk::workspace {
  simdjson::ondemand::parser parser;
  std::vector<char> buffer;
};

walk::walk(std::string_view text) {
  if (text.size() <= kept_size) {
    thread_local workspace kept;
    in_ = &kept;
  } else {
    own_ = std::make_unique<workspace>();
    in_ = own_.get();
  }
  auto needed = text.size() + simdjson::SIMDJSON_PADDING;
  if (in_->buffer.size() < needed)
    in_->buffer.resize(needed);
  if (!text.empty())
    std::memcpy(in_->buffer.data(), text.data(), text.size());
  std::memset(in_->buffer.data() + text.size(), 0, simdjson::SIMDJSON_PADDING);
  text_ = {in_->buffer.data(), text.size()};
}

walk::~walk() = default;

bool walk::fail(std::string why) {
  if (why_.empty())
    why_ = std::move(why);
  return false;
}

bool walk::open(simdjson::ondemand::object& out) {
  // Newer releases of simdjson skip a byte order mark; the answer must not
  // depend on the release.
  if (text_.starts_with("\xef\xbb\xbf"))
    return fail("not a JSON object");
  auto failed = in_->parser
                    .iterate(simdjson::padded_string_view{
                        text_.data(), text_.size(), in_->buffer.size()})
                    .get(document_);
  if (failed == simdjson::UTF8_ERROR)
    return fail("not valid UTF-8");
  if (failed)
    return malformed();
  if (document_.get_object().get(out))
    return fail("not a JSON object");
  return true;
}

bool walk::closed() {
  const char* rest = nullptr;
  // It is an error to be asked for the place once everything was read.
  if (!document_.current_location().get(rest))
    return malformed();
  return true;
}

bool walk::key(const char* at, std::string_view& out) {
  const char* end = at;
  bool escaped = false;
  for (; *end != '"'; ++end) {
    if (*end == '\\') {
      escaped = true;
      ++end;
    }
  }
  out = {at, static_cast<std::size_t>(end - at)};
  if (!escaped)
    return true;
  if (!valid_escapes(out))
    return malformed();
  key_ = unescape(out);
  out = key_;
  return true;
}

std::string_view walk::token(value& of) noexcept {
  auto text = of.raw_json_token();
  while (text.size() > 1 && (text.back() == ' ' || text.back() == '\n' ||
                             text.back() == '\r' || text.back() == '\t'))
    text.remove_suffix(1);
  return text.empty() ? std::string_view{" "} : text;
}

bool walk::check(value& of) {
  auto text = token(of);
  bool well = false;
  switch (text.front()) {
    case '{':
      return members(
          of, [this](std::string_view, value& inner) { return check(inner); });
    case '[':
      return elements(of, [this](value& inner) { return check(inner); });
    case '"': {
      auto body = text.size() < 2 ? text : text.substr(1, text.size() - 2);
      well = text.size() >= 2 && text.back() == '"' &&
             (body.find('\\') == std::string_view::npos
                  ? body.find('"') == std::string_view::npos
                  : valid_escapes(body));
      // Consumed here: simdjson, when it skips a string by itself, takes one
      // that a colon follows for a key, and reads on inside the wrong object.
      simdjson::ondemand::raw_json_string consumed;
      well = well && !of.get_raw_json_string().get(consumed);
      break;
    }
    case 't': well = text == "true"; break;
    case 'f': well = text == "false"; break;
    case 'n': well = text == "null"; break;
    default: well = is_json_number(text); break;
  }
  return well || malformed();
}

bool walk::raw(value& of, std::string_view& out) {
  auto text = token(of);
  char first = text.front();
  if (!check(of))
    return false;
  if (first == '"')
    out = text.substr(1, text.size() - 2);
  else if (first == '-' || (first >= '0' && first <= '9'))
    out = text;
  return true;
}

bool walk::integer(value& of, std::int64_t& out) {
  std::string_view digits;
  if (!raw(of, digits))
    return false;
  if (out == 0)
    out = parse_integer(digits).value_or(0);
  return true;
}

bool walk::text(value& of, std::string& out) {
  auto text = token(of);
  if (!check(of))
    return false;
  if (text.front() == '"' && out.empty())
    out = unescape(text.substr(1, text.size() - 2));
  return true;
}

bool walk::flag(value& of, bool& out) {
  out = out || token(of) == "true";
  return check(of);
}

}  // namespace troupe::telegram::detail
