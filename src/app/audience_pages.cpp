#include "app/audience_pages.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "actors/audience_filter.hpp"
#include "actors/holdings_page.hpp"

namespace troupe::app {
namespace {

const char* name_of_status(store::audience_status s) {
  switch (s) {
    case store::audience_status::active: return "active";
    case store::audience_status::blocked: return "blocked";
    case store::audience_status::gone: return "gone";
    case store::audience_status::migrated: return "migrated";
  }
  return "unknown";
}

json::object to_json(const store::member& m) {
  json::object out;
  out["chat"] = to_string(m.key);
  out["kind"] = m.key.is_private() ? "private" : "group";
  out["language"] = m.language;
  out["status"] = name_of_status(m.status);
  out["first_seen_ms"] = to_ms(m.first_seen);
  out["last_seen_ms"] = to_ms(m.last_seen);
  out["tags"] = json::value_from(m.tags);
  return out;
}

/// What a page is asked for.
struct wanted_members {
  actors::audience_filter filter;
  std::optional<chat_key> after;
  std::optional<chat_key> chat;  ///< this one, and no filter
  std::string tag;
  bool add = false;
  bool list = false;
};

error wrong_body(std::string text) {
  return {errc::bad_input, std::move(text)};
}

result<> read_member_of(const json::object& in, std::string_view name,
                        std::optional<chat_key>& out) {
  const json::value* at = in.if_contains(name);
  if (at == nullptr || at->is_null())
    return {};
  if (!at->is_string())
    return wrong_body(std::string{name} + " must be a chat as text");
  auto key = parse_chat_key(at->get_string());
  if (!key)
    return key.error();
  out = *key;
  return {};
}

result<> read_flag(const json::object& in, std::string_view name, bool& out) {
  const json::value* at = in.if_contains(name);
  if (at == nullptr)
    return {};
  if (!at->is_bool())
    return wrong_body(std::string{name} + " must be true or false");
  out = at->get_bool();
  return {};
}

result<> read_words(const json::object& in, std::string_view name,
                    std::string& out) {
  const json::value* at = in.if_contains(name);
  if (at == nullptr)
    return {};
  if (!at->is_string())
    return wrong_body(std::string{name} + " must be text");
  out = at->get_string();
  return {};
}

result<wanted_members> read_wanted_members(const std::string& body) {
  const auto parsed = parse_json(body);
  if (!parsed)
    return parsed.error();
  const json::object* in = parsed->if_object();
  if (in == nullptr)
    return wrong_body("the body must be a JSON object");
  wanted_members out;
  std::string filter;
  for (auto ok :
       {read_words(*in, "audience", filter), read_words(*in, "tag", out.tag),
        read_flag(*in, "add", out.add), read_flag(*in, "list", out.list),
        read_member_of(*in, "after", out.after),
        read_member_of(*in, "chat", out.chat)})
    if (!ok)
      return ok.error();
  auto read = actors::audience_filter::parse(filter);
  if (!read)
    return read.error();
  out.filter = std::move(*read);
  if (out.chat && (out.after || !filter.empty()))
    return wrong_body("give a chat, or an audience");
  return out;
}

/// {"walked", "matched", "next"} of a page.
json::object walked_page(const std::vector<store::member>& all,
                         std::size_t matched) {
  json::object page;
  page["walked"] = all.size();
  page["matched"] = matched;
  page["next"] = nullptr;
  if (all.size() == audience_page_size)
    page["next"] = to_string(all.back().key);
  return page;
}

void list_members(const wanted_members& wanted, store::backend& store,
                  wall_time now, callback<std::string> done) {
  store.audience(wanted.after, audience_page_size,
                 [wanted, now, done = std::move(done)](
                     result<std::vector<store::member>> got) {
                   if (!got)
                     return done(got.error());
                   json::array members;
                   std::size_t matched = 0;
                   for (const auto& m : *got) {
                     if (!wanted.filter.matches(m, now))
                       continue;
                     ++matched;
                     if (wanted.list)
                       members.push_back(to_json(m));
                   }
                   auto page = walked_page(*got, matched);
                   if (wanted.list)
                     page["members"] = std::move(members);
                   done(json::serialize(page));
                 });
}

void tag_members(const wanted_members& wanted, store::backend& store,
                 wall_time now, callback<std::string> done) {
  if (!store::is_tag(wanted.tag))
    return done(wrong_body(
        "a tag is 1 to 64 printable ASCII characters, no blank and no comma"));
  const auto go = [&store, wanted](std::vector<chat_key> whom,
                                   json::object page,
                                   const callback<std::string>& answer) {
    store.tag(std::move(whom), wanted.tag, wanted.add,
              [page = std::move(page), answer](result<std::size_t> n) mutable {
                if (!n)
                  return answer(n.error());
                page["changed"] = *n;
                answer(json::serialize(page));
              });
  };
  if (wanted.chat)
    return go({*wanted.chat},
              {{"walked", 1}, {"matched", 1}, {"next", nullptr}}, done);
  store.audience(wanted.after, audience_page_size,
                 [wanted, now, go, done = std::move(done)](
                     result<std::vector<store::member>> got) {
                   if (!got)
                     return done(got.error());
                   std::vector<chat_key> whom;
                   for (const auto& m : *got)
                     if (wanted.filter.matches(m, now))
                       whom.push_back(m.key);
                   auto page = walked_page(*got, whom.size());
                   go(std::move(whom), std::move(page), done);
                 });
}

void chat_page(const http::request& what, store::backend& store,
               node_view& node, callback<std::string> done) {
  constexpr std::string_view end = "/forget";
  std::string_view name = what.path();
  name.remove_prefix(chats_path.size());
  const bool posted = what.method == "POST";
  if (posted != name.ends_with(end) || (!posted && what.method != "GET"))
    return done(wrong_body("GET a chat, or POST to its /forget"));
  if (posted)
    name.remove_suffix(end.size());
  const auto key = parse_chat_key(name);
  if (!key)
    return done(key.error());
  if (posted)
    return node.forget(*key, std::move(done));
  store.about(
      *key, [key = *key, done = std::move(done)](result<store::holdings> got) {
        if (!got)
          return done(got.error());
        done(json::serialize(json::object{{"chat", to_string(key)},
                                          {"kept", actors::page_of(*got)}}));
      });
}

}  // namespace

void audience_page(const http::request& what, store::backend& store,
                   node_view& node, wall_time now, callback<std::string> done) {
  if (what.path().starts_with(chats_path))
    return chat_page(what, store, node, std::move(done));
  if (what.method != "POST")
    return done(wrong_body("use POST"));
  const auto wanted = read_wanted_members(what.body);
  if (!wanted)
    return done(wanted.error());
  if (what.path() == audience_path)
    return list_members(*wanted, store, now, std::move(done));
  if (what.path() == "/admin/audience/tag")
    return tag_members(*wanted, store, now, std::move(done));
  done(error{errc::not_found, "no such page"});
}

}  // namespace troupe::app
