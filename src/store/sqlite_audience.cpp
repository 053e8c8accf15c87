#include "store/checks.hpp"
#include "store/sqlite_engine.hpp"

// Who uses the bot.
namespace troupe::store {

std::vector<std::string> sqlite_engine::tags_of(const chat_key& key) {
  auto rows = sql_.tags.query(kt(key), key.id);
  return rows.next() ? split_tags(rows.bytes(0)) : std::vector<std::string>{};
}

void sqlite_engine::put_tags(const chat_key& key,
                             const std::vector<std::string>& tags) {
  if (tags.empty())
    sql_.drop_tags.run(kt(key), key.id);
  else
    sql_.put_tags.run(kt(key), key.id, join_tags(tags));
}

std::uint32_t sqlite_engine::change_audience(const audience_change& a) {
  auto& put = a.seen ? sql_.put_member : sql_.new_member;
  put.run(kt(a.key), a.key.id, static_cast<std::int64_t>(a.status), a.language,
          to_ms(time_.wall()));
  if (!a.changes_tags())
    return 0;
  auto tags = tags_of(a.key);
  const auto over = change_tags(tags, a.untag, a.tag);
  put_tags(a.key, tags);
  return over;
}

result<std::size_t> sqlite_engine::tag(const std::vector<chat_key>& whom,
                                       const std::string& name, bool add) {
  if (auto ok = check_tag(name); !ok)
    return ok.error();
  std::size_t changed = 0;
  for (const auto& key : whom) {
    if (!sql_.is_member.query(kt(key), key.id).next())
      continue;
    auto tags = tags_of(key);
    const auto before = tags.size();
    if (add)
      change_tags(tags, {}, {name});
    else
      change_tags(tags, {name}, {});
    if (tags.size() == before)
      continue;
    put_tags(key, tags);
    ++changed;
  }
  return finish(changed);
}

result<std::vector<member>> sqlite_engine::audience(
    const std::optional<chat_key>& after, std::size_t limit) {
  std::vector<member> out;
  // No key is before kind -1.
  auto rows = sql_.members.query(after ? kt(*after) : std::int64_t{-1},
                                 after ? after->id : 0, as_limit(limit));
  while (rows.next())
    out.push_back({key_of(rows.integer(0), rows.integer(1)),
                   static_cast<audience_status>(rows.integer(2)), rows.text(3),
                   from_ms(rows.integer(4)), from_ms(rows.integer(5)),
                   split_tags(rows.bytes(6))});
  return finish(std::move(out));
}

}  // namespace troupe::store
