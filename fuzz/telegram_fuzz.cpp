#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.hpp"
#include "core/result.hpp"
#include "telegram/call.hpp"
#include "telegram/facts.hpp"
#include "telegram/update.hpp"

// Whatever the bytes, the readers of this module neither crash nor disagree.

namespace {

using namespace troupe;
using namespace troupe::telegram;

void read_as_update(std::string_view text) {
  auto where = route(text);
  auto read = read_facts(text);
  TROUPE_CHECK(where.has_value() == read.has_value());
  if (!where)
    return;
  TROUPE_CHECK(where->id == read->id && where->kind == read->kind);
  TROUPE_CHECK(parse_chat_key(to_string(where->key)) == where->key);
  // Boost.JSON's grammar is as strict; it is stricter about surrogates, and
  // refuses numbers whose exponents overflow.
  auto other = parse_json(text);
  bool may_differ = text.find("\\u") != std::string_view::npos ||
                    text.find_first_of("eE.") != std::string_view::npos ||
                    text.size() > 300;
  TROUPE_CHECK(other.has_value() || may_differ);
  TROUPE_CHECK(!other.has_value() || other->is_object());
}

void read_as_poll(std::string_view text) {
  auto batch =
      split_updates("{\"ok\":true,\"result\":[" + std::string{text} + "]}");
  if (batch)
    for (const auto& update : *batch)
      TROUPE_CHECK(update.where.id.value >= 0 && !update.body.empty());
  batch = split_updates(text);
  // An update that route takes is one element, itself.
  if (auto where = route(text)) {
    auto one =
        split_updates("{\"ok\":true,\"result\":[" + std::string{text} + "]}");
    TROUPE_CHECK(one.has_value() && one->size() == 1);
    TROUPE_CHECK((*one)[0].where.key == where->key);
  }
}

void read_as_answer(std::string_view text) {
  for (unsigned status : {200u, 400u, 403u, 404u, 429u, 502u}) {
    auto a = read_answer(status, text, text.substr(0, 8));
    TROUPE_CHECK((a.what == verdict::retry_after) ==
                 (a.retry_after >= milliseconds{1000}));
    TROUPE_CHECK((a.what == verdict::migrated) == (a.migrate_to != 0));
    TROUPE_CHECK(a.description.size() <= 1024);
  }
  auto result = result_of(text);
  TROUPE_CHECK(result.size() <= text.size());
}

void read_as_call(std::string_view text) {
  auto key = destination_of(text, chat_key::chat(1));
  TROUPE_CHECK(parse_chat_key(to_string(key)) == key);
  TROUPE_CHECK(cost_of("sendMediaGroup", text) >= 1);
  auto edited = with_message_id(text, -7);
  auto moved = with_chat_id(text, -1001);
  auto body = parse_json(text);
  if (body && body->is_object()) {
    TROUPE_CHECK(parse_json(edited).has_value());
    TROUPE_CHECK(with_message_id(edited, -7) == edited);
    TROUPE_CHECK(parse_json(moved).has_value());
    TROUPE_CHECK(moved == text || destination_of(moved, chat_key::chat(1)) ==
                                      chat_key::chat(-1001));
  }
  std::string why;
  TROUPE_CHECK(valid_token(text, &why) || !why.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  read_as_update(text);
  read_as_poll(text);
  read_as_answer(text);
  read_as_call(text);
  return 0;
}
