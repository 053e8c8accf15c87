#include <algorithm>
#include <limits>

#include "core/log.hpp"
#include "store/checks.hpp"
#include "store/postgres_engine.hpp"

// What is over goes, a page at a time: each node walks through the tables at
// its own pace, and a row that two of them meet goes once.
namespace troupe::store::postgres {

namespace {

constexpr auto sweep_pause = std::chrono::seconds{1};
constexpr std::int64_t sweep_page = 2'000;
constexpr auto writer_kept = std::chrono::hours{7 * 24};
constexpr auto first_number = std::numeric_limits<std::int64_t>::min();

std::int64_t in_ms(milliseconds time) {
  return time.count();
}

}  // namespace

void postgres_engine::tidy() {
  // Real time paces it; what is old is judged by the store's clock.
  const auto tick = steady::now();
  if (!link_ || link_->broken())
    return;
  if (hindered_ && tick - ended_silent_ >= sweep_pause) {
    hindered_ = false;
    ended_silent_ = tick;
    end_silent();
  }
  if (!sweeps_ || tick - swept_ < sweep_pause)
    return;
  swept_ = tick;
  sweep();
}

// A node that was stopped in the middle of sending a group (SIGSTOP, a frozen
// container) is not idle for the server, and no timeout of its ends that
// transaction: whoever is held up by its locks does.
void postgres_engine::end_silent() {
  std::vector<request> all{
      request::of(sql::end_silent, in_ms(home_.with.patience / 2))};
  const auto heard = exchange(std::move(all));
  if (heard.empty() || heard[0].failed)
    return;  // the next group says what is wrong
  if (const auto n = heard[0].rows.integer(0, 0); n > 0)
    log::warn("store_silent_node_ended", {{"connections", n}});
}

void postgres_engine::sweep() {
  const auto now = time_.wall();
  std::vector<request> all;
  all.push_back(request::of(
      sql::sweep_seen, std::int64_t{seen_begins_ ? -1 : seen_cursor_.first},
      seen_begins_ ? first_number : seen_cursor_.second, sweep_page,
      to_ms(now - dedup_window)));
  all.push_back(request::of(
      sql::sweep_chats, chats_begin_ ? std::int64_t{-1} : kt(chat_cursor_),
      chats_begin_ ? first_number : chat_cursor_.id, sweep_page));
  all.push_back(request::of(sql::sweep_spending, to_ms(now - spending_window)));
  all.push_back(request::of(sql::sweep_names, in_ms(sweep_grace), sweep_page));
  all.push_back(request::of(sql::sweep_nodes, in_ms(sweep_grace)));
  all.push_back(request::of(sql::sweep_writers, to_ms(now - writer_kept)));
  for (auto& r : all)
    r.sync = true;  // each by itself
  const auto asked = all.size();
  const auto heard = exchange(std::move(all));
  if (heard.size() < asked)
    return;  // the next group says that the server is away
  // What fails stays where it is; the others go on.
  std::optional<error> why;
  for (const auto& a : heard)
    if (a.failed && !why)
      why = a.failed->why;
  if (!heard[0].failed) {
    const auto& page = heard[0].rows;
    seen_begins_ = page.rows() == 0 || page.integer(0, 2) < sweep_page;
    if (!seen_begins_)
      seen_cursor_ = {static_cast<shard_number>(page.integer(0, 0)),
                      page.integer(0, 1)};
  }
  if (!heard[1].failed)
    if (auto ok = sweep_chats(heard[1].rows, now); !ok && !why)
      why = ok.error();
  report(why);
}

// A page that can't be swept as a whole is left for the next round: the walk
// goes on behind it.
result<> postgres_engine::sweep_chats(const table& page, wall_time now) {
  chats_begin_ = page.rows() < sweep_page;
  const auto before = to_ms(now - sweep_grace);
  columns ended{sql::clear_chats};
  columns gone{sql::drop_chats};
  for (int i = 0; i < page.rows(); ++i) {
    chat_cursor_ = key_of(page.integer(i, 0), page.integer(i, 1));
    const auto expires = page.integer(i, 2);
    if (expires == 0 || expires > before)
      continue;
    auto& into = chat_cursor_.type == chat_key::kind::update ? gone : ended;
    into.add(kt(chat_cursor_), chat_cursor_.id);
  }
  std::vector<request> all;
  for (auto* some : {&ended, &gone})
    if (!some->empty()) {
      all.push_back(some->take());
      all.back().scalar(before);
      all.back().sync = true;
    }
  for (const auto& a : exchange(std::move(all)))
    if (a.failed)
      return a.failed->why;
  return {};
}

// Said once when it starts to fail and once when it works again.
void postgres_engine::report(const std::optional<error>& why) {
  const bool failed = why.has_value();
  if (std::exchange(sweep_failed_, failed) == failed)
    return;
  if (why)
    log::warn("store_housekeeping_failed",
              {{"what", "sweep"}, {"why", to_string(*why)}});
  else
    log::info("store_housekeeping_recovered", {{"what", "sweep"}});
}

}  // namespace troupe::store::postgres
