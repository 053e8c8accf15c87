#include "store/checks.hpp"
#include "store/postgres_engine.hpp"

// Who uses the bot.
namespace troupe::store::postgres {

std::uint32_t postgres_engine::change_audience(const audience_change& a) {
  const auto now = time_.wall();
  if (a.seen) {
    auto& [change, at] = changes_.members[a.key];
    auto language =
        a.language.empty() ? std::move(change.language) : a.language;
    change = a;
    change.language = std::move(language);
    at = now;
  } else {
    changes_.newcomers.try_emplace(a.key, a, now);
  }
  found_.members.insert(a.key);
  if (!a.changes_tags())
    return 0;
  changes_.tags.insert(a.key);
  return change_tags(found_.tags[a.key], a.untag, a.tag);
}

result<std::size_t> postgres_engine::tag(const std::vector<chat_key>& whom,
                                         const std::string& name, bool add) {
  if (auto ok = check_tag(name); !ok)
    return ok.error();
  std::size_t changed = 0;
  for (const auto& key : whom) {
    if (!found_.members.contains(key))
      continue;
    auto& tags = found_.tags[key];
    const auto before = tags.size();
    if (add)
      change_tags(tags, {}, {name});
    else
      change_tags(tags, {name}, {});
    if (tags.size() == before)
      continue;
    changes_.tags.insert(key);
    ++changed;
  }
  return changed;
}

result<std::vector<member>> postgres_engine::audience(
    const std::optional<chat_key>& after, std::size_t limit) {
  // No key is before kind -1.
  const auto t =
      ask(request::of(sql::audience, after ? kt(*after) : std::int64_t{-1},
                      after ? after->id : std::int64_t{0}, as_limit(limit)));
  if (!t)
    return t.error();
  std::vector<member> out;
  for (int i = 0; i < t->rows(); ++i)
    out.push_back({key_of(t->integer(i, 0), t->integer(i, 1)),
                   static_cast<audience_status>(t->integer(i, 2)),
                   t->text(i, 3), from_ms(t->integer(i, 4)),
                   from_ms(t->integer(i, 5)), split_tags(t->bytes(i, 6))});
  return out;
}

}  // namespace troupe::store::postgres
