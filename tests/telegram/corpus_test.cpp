#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "telegram/call.hpp"
#include "telegram/facts.hpp"
#include "telegram/update.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

namespace {

// Updates that others wrote: they stay outside the project (their licences
// differ), so a test with them says loudly when they are not there.
std::vector<std::string> corpus(const std::string& name) {
  std::vector<std::string> out;
  std::ifstream file{TROUPE_SOURCE_DIR "/../shared/corpus/" + name};
  for (std::string line; std::getline(file, line);)
    if (!line.empty())
      out.push_back(std::move(line));
  if (out.empty())
    WARN("SKIPPED: no ../shared/corpus/" << name << " beside the project");
  return out;
}

// The same question asked of a DOM.
std::int64_t at(const json::value& from,
                std::initializer_list<std::string_view> path) {
  const json::value* here = &from;
  for (auto name : path) {
    auto* object = here->if_object();
    here = object ? object->if_contains(name) : nullptr;
    if (here == nullptr)
      return 0;
  }
  return here->is_int64() ? here->as_int64() : 0;
}

}  // namespace

TEST_CASE("every update of the corpus is routed as a DOM would") {
  std::set<update_kind> seen;
  std::size_t unknown = 0;
  auto lines = corpus("updates.jsonl");
  for (const auto& line : lines) {
    INFO(line);
    auto where = route(line);
    REQUIRE(where.has_value());
    seen.insert(where->kind);
    unknown += where->kind == update_kind::unknown;
    auto document = parse_json(line);
    REQUIRE(document.has_value());
    auto id = document->at("update_id");
    CHECK(where->id.value == (id.is_string()
                                  ? std::stoll(std::string{id.as_string()})
                                  : id.as_int64()));
    auto name = to_string(where->kind);
    auto chat = where->kind == update_kind::callback_query
                    ? at(*document, {name, "message", "chat", "id"})
                    : at(*document, {name, "chat", "id"});
    auto from = at(*document, {name, "from", "id"});
    if (chat != 0)
      CHECK(where->key == chat_key::chat(chat));
    else if (from != 0 && where->kind != update_kind::poll_answer)
      CHECK(where->key == chat_key::chat(from));

    auto read = read_facts(line);
    REQUIRE(read.has_value());
    CHECK(read->id == where->id);
    CHECK(read->kind == where->kind);
    CHECK((chat == 0 || read->chat_id == chat));
    CHECK((from == 0 || read->user_id == from));
  }
  if (!lines.empty()) {
    CHECK(lines.size() == 364);
    CHECK(unknown == 3);       // a fourth unknown key stands beside a known one
    CHECK(seen.size() == 29);  // 27 kinds, unknown, none
  }
}

TEST_CASE("the corpus as one getUpdates answer comes apart byte for byte") {
  auto lines = corpus("updates.jsonl");
  std::string text = R"({"ok":true,"result":[)";
  for (const auto& line : lines)
    text += (text.back() == '[' ? "" : ",") + line;
  auto out = split_updates(text + "]}");
  REQUIRE(out.has_value());
  REQUIRE(out->size() == lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i)
    CHECK((*out)[i].body == lines[i]);
}

TEST_CASE("every error of the corpus has a class that fits its code") {
  for (const auto& line : corpus("error_responses.jsonl")) {
    INFO(line);
    auto document = parse_json(line);
    REQUIRE(document.has_value());
    const auto& body = document->at("body");
    auto code = body.at("error_code").as_int64();
    auto status = static_cast<unsigned>(code >= 400 ? code : 400);
    auto a = read_answer(status, json::serialize(body), "");
    CHECK(a.description == body.at("description").as_string());
    auto text = std::string{body.at("description").as_string()};
    auto says = [&](const char* part) {
      return text.find(part) != std::string::npos;
    };
    auto wanted = verdict::refused;
    if (body.as_object().contains("parameters") && code == 400)
      wanted = verdict::migrated;
    else if (code == 429)
      wanted = verdict::retry_after;
    else if (code >= 500)
      wanted = verdict::try_again;
    else if (code == 409)
      wanted = verdict::conflict;
    else if (code == 401)
      wanted = verdict::bad_token;
    else if (code == 403 || says("chat not found"))
      wanted = verdict::chat_gone;
    else if (says("not modified"))
      wanted = verdict::not_modified;
    CHECK(to_string(a.what) == to_string(wanted));
  }
}

TEST_CASE("bare messages of the corpus are updates' payloads") {
  for (const auto& line : corpus("messages.jsonl")) {
    INFO(line);
    auto text = "{\"update_id\":1,\"message\":" + line + "}";
    auto where = route(text);
    REQUIRE(where.has_value());
    CHECK(where->kind == update_kind::message);
    CHECK(read_facts(text).has_value());
  }
}
