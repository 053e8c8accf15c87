#include "store/checks.hpp"

#include <algorithm>

#include "core/json.hpp"

namespace troupe::store {

namespace {

error bad(std::string text) {
  return {errc::bad_input, std::move(text)};
}

result<> check_turn(const turn& t, shard_id mine, std::uint16_t shards) {
  auto name = [&] { return "turn of " + to_string(t.key); };
  if (shard_of(t.key, shards) != mine)
    return bad(name() + " is not of shard " + std::to_string(mine.value));
  if ((t.seq.value == 0) != t.fired.has_value())
    return bad(name() + " must acknowledge one entry or one timer");
  if (t.fired && t.fired->key != t.key)
    return bad(name() + " acknowledges a timer of " + to_string(t.fired->key));
  for (const auto& c : t.calls)
    if (c.from != t.key || !c.body)
      return bad(name() + " has a call of another chat or without a body");
  for (const auto& n : t.notices)
    if (n.type != entry_kind::notice && n.type != entry_kind::call)
      return bad(name() + " leaves another chat something it may not");
  for (const auto& s : t.set)
    if (s.key != t.key)
      return bad(name() + " sets a timer of " + to_string(s.key));
  for (const auto& a : t.audience) {
    if (a.changes_tags() && a.key != t.key)
      return bad(name() + " tags " + to_string(a.key));
    for (const auto* all : {&a.tag, &a.untag})
      for (const auto& tag : *all)
        if (auto ok = check_tag(tag); !ok)
          return ok;
  }
  return {};
}

}  // namespace

result<> check_shard(shard_id s, std::uint16_t shards) {
  if (s.value < shards)
    return {};
  return bad("no shard " + std::to_string(s.value) + ": there are " +
             std::to_string(shards));
}

result<> check_shards(const std::vector<shard_id>& all, std::uint16_t shards) {
  for (auto s : all)
    if (auto ok = check_shard(s, shards); !ok)
      return ok;
  return {};
}

result<> check_arrivals(const std::vector<arrival>& batch) {
  for (const auto& a : batch)
    if (!a.body)
      return bad("update " + std::to_string(a.id.value) + " has no body");
  return {};
}

result<> check_commit(const lease& held, const std::vector<turn>& turns,
                      std::uint16_t shards, bool sql) {
  if (auto ok = check_shard(held.shard, shards); !ok)
    return ok;
  for (const auto& t : turns) {
    if (auto ok = check_turn(t, held.shard, shards); !ok)
      return ok;
    if (!t.sql.empty() && !sql)
      return bad("this store takes no SQL: that needs PostgreSQL");
    if (!t.sql.empty() && turns.size() > 1)
      return bad("a turn with SQL must be alone in its commit");
  }
  return {};
}

result<> check_settle(const lease& held,
                      const std::vector<settlement>& outcomes,
                      std::uint16_t shards) {
  if (auto ok = check_shard(held.shard, shards); !ok)
    return ok;
  for (const auto& s : outcomes)
    if (shard_of(s.from, shards) != held.shard)
      return bad("call " + std::to_string(s.id.value) + " of " +
                 to_string(s.from) + " is not of shard " +
                 std::to_string(held.shard.value));
  for (const auto& s : outcomes)
    if (s.audience && (s.audience->changes_tags() || !s.audience->seen))
      return bad("call " + std::to_string(s.id.value) + " changes tags");
  return {};
}

result<> check_forget(const lease& held, const chat_key& key,
                      std::uint16_t shards) {
  if (auto ok = check_shard(held.shard, shards); !ok)
    return ok;
  if (shard_of(key, shards) == held.shard)
    return {};
  return bad("chat " + to_string(key) + " is not of shard " +
             std::to_string(held.shard.value));
}

result<> check_tag(const std::string& name) {
  if (is_tag(name))
    return {};
  return bad("'" + name.substr(0, longest_tag) +
             "' is no tag: 1 to 64 printable ASCII characters, no blank and "
             "no comma");
}

bool is_tag(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest_tag &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

std::string join_tags(const std::vector<std::string>& tags) {
  std::string out;
  for (const auto& t : tags)
    (out += out.empty() ? "" : " ") += t;
  return out;
}

std::vector<std::string> split_tags(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0)
      out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::uint32_t change_tags(std::vector<std::string>& have,
                          const std::vector<std::string>& untag,
                          const std::vector<std::string>& tag) {
  for (const auto& t : untag)
    std::erase(have, t);
  std::uint32_t over = 0;
  for (const auto& t : tag) {
    const auto place = std::lower_bound(have.begin(), have.end(), t);
    if (place != have.end() && *place == t)
      continue;
    if (have.size() < most_tags)
      have.insert(place, t);
    else
      ++over;
  }
  return over;
}

void add_outcome(campaign_tally& to, const settlement& s) {
  switch (s.outcome) {
    case call_outcome::sent:
    case call_outcome::collapsed: ++to.sent; break;
    case call_outcome::failed: ++(s.audience ? to.blocked : to.failed); break;
    case call_outcome::unknown: ++to.unknown; break;
    case call_outcome::attempting: break;
  }
}

std::string notice_body(const chat_key& from, const notice& what) {
  if (what.type == entry_kind::call)
    return what.text;
  std::string out = R"({"from":)";
  append_json_string(out, to_string(from));
  out += R"(,"text":)";
  append_json_string(out, what.text);
  out += '}';
  return out;
}

std::string timer_body(const timer& t) {
  std::string out = R"({"name":)";
  append_json_string(out, t.name);
  out += R"(,"body":)";
  append_json_string(out, t.body);
  out += '}';
  return out;
}

error wrong_version(const turn& t, std::uint64_t stored) {
  return {errc::corrupt, "chat " + to_string(t.key) + ": turned on version " +
                             std::to_string(t.version) +
                             ", but the record has version " +
                             std::to_string(stored)};
}

error wrong_chat(const turn& t, const chat_key& stored) {
  return {errc::corrupt, "chat " + to_string(t.key) +
                             " acknowledges sequence " +
                             std::to_string(t.seq.value) +
                             ", which belongs to " + to_string(stored)};
}

void put_label(std::vector<label>& labels, const std::string& name,
               call_id call) {
  auto found = std::find_if(labels.begin(), labels.end(),
                            [&](const label& l) { return l.name == name; });
  if (found != labels.end()) {
    found->call = call;  // edits still find the last one that was sent
    return;
  }
  labels.push_back({name, call, 0});
  if (labels.size() > most_labels)
    labels.erase(std::min_element(
        labels.begin(), labels.end(),
        [](const label& a, const label& b) { return a.call < b.call; }));
}

bool note_message(std::vector<label>& labels, const settlement& s) {
  // An edit that changed nothing names no message; edits go to the own chat.
  if (s.message_id == 0 || s.to != s.from)
    return false;
  for (auto& l : labels) {
    if (l.name == s.label && l.call == s.id) {
      l.message_id = s.message_id;
      return true;
    }
  }
  return false;
}

std::optional<std::int64_t> new_expiry(const turn& t, wall_time now) {
  // The key of a lone update never comes again: keep its record as long as its
  // commit could be repeated, whatever the bot's states live.
  if (t.key.type == chat_key::kind::update)
    return to_ms(now + dedup_window);
  if (t.expires)
    return to_ms(*t.expires);
  if (t.state || t.mode)
    return 0;
  return std::nullopt;
}

}  // namespace troupe::store
