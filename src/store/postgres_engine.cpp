#include "store/postgres_engine.hpp"

#include <poll.h>

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "core/log.hpp"
#include "store/group_store.hpp"
#include "store/postgres_author.hpp"
#include "store/postgres_schema.hpp"

namespace troupe::store::postgres {

namespace {

// After a loss calls wait so long for the server to come back.
constexpr std::chrono::seconds grace{3};
constexpr milliseconds first_backoff{50};
constexpr milliseconds last_backoff{2'000};

void pause(milliseconds time) {
  ::poll(nullptr, 0, static_cast<int>(time.count()));
}

std::int64_t draw() {
  std::random_device source;
  return std::uniform_int_distribution<std::int64_t>{
      1, std::numeric_limits<std::int64_t>::max()}(source);
}

}  // namespace

postgres_engine::postgres_engine(std::unique_ptr<link> on, home where,
                                 std::uint16_t shards, const clock& time,
                                 bool sweeps)
    : home_{std::move(where)},
      shards_{shards},
      time_{time},
      me_{draw()},
      scout_{shards, time},
      sweeps_{sweeps},
      link_{std::move(on)} {}

// -- the connection -----------------------------------------------------------

result<> postgres_engine::connect() {
  if (link_ && !link_->broken())
    return {};
  const auto now = steady::now();
  if (link_) {
    down_ = *link_->broken();
    link_.reset();
    down_since_ = now;
    log::warn("store_lost", {{"why", down_.context}});
  }
  if (now < next_try_)
    return down_;
  auto made = link::open(home_.url, home_.with);
  if (made) {
    if (auto ok = (*made)->enter(home_.schema, home_.with); !ok)
      made = ok.error();
  }
  if (!made) {
    backoff_ = std::clamp(backoff_ * 2, first_backoff, last_backoff);
    next_try_ = steady::now() + backoff_;
    down_ = made.error();
    return down_;
  }
  link_ = std::move(*made);
  backoff_ = {};
  if (std::exchange(down_since_, std::nullopt))
    log::info("store_regained", {});
  if (started_)
    return {};
  auto ok = start();
  if (!ok)
    link_.reset();
  return ok;
}

// A short absence (a restart, a failover) costs waiting, a long one nothing.
result<> postgres_engine::reach() {
  for (;;) {
    auto ok = connect();
    if (ok || !down_since_ || steady::now() > *down_since_ + grace)
      return ok;
    pause(first_backoff);
  }
}

std::vector<link::answer> postgres_engine::exchange(std::vector<request> all) {
  return link_ ? link_->exchange(std::move(all)) : std::vector<link::answer>{};
}

result<> postgres_engine::start() {
  std::vector<request> all{
      request::of(sql::mark, me_, group_, to_ms(time_.wall()))};
  const auto heard = exchange(std::move(all));
  if (heard.empty())
    return *link_->broken();
  if (heard[0].failed)
    return heard[0].failed->why;
  started_ = true;
  return {};
}

// -- groups -------------------------------------------------------------------

result<> postgres_engine::begin() {
  needs_ = scout_.take();
  found_ = {};
  changes_ = {};
  name_answers_.clear();
  script_.clear();
  reads_.clear();
  answers_.clear();
  next_name_ = next_read_ = written_ = 0;
  again_ = separable_ = answering_ = spoiled_ = false;
  verdict_.reset();
  if (auto ok = reach(); !ok)
    return ok;
  if (!needs_.writes)
    return {};
  ++group_;
  auto ok = prepare();
  // A connection that had died while nothing was said: nothing was done on it.
  if (!ok && link_->broken()) {
    if (auto back = reach(); !back)
      return back;
    ok = prepare();
  }
  return ok;
}

result<> postgres_engine::prepare() {
  const auto asked = questions(
      needs_, request::of(sql::mark, me_, group_, to_ms(time_.wall())),
      around_author(), shards_);
  auto heard = exchange(asked);
  std::vector<table> answers;
  const refusal* why = nullptr;
  for (auto& a : heard) {
    if (a.failed) {
      why = &*a.failed;
      break;
    }
    answers.push_back(std::move(a.rows));
  }
  const auto n = answers.size();
  if (n < asked.size() && why == nullptr)
    return *link_->broken();
  if (why != nullptr &&
      (asked[n].what() != sql::author || why->of_server() || link_->broken()))
    return failed(*why, n >= before_questions);
  if (!needs_.sql.empty()) {
    verdict_ = verdict_on(needs_.sql, asked, answers, why);
    if (verdict_)
      spoil();
  }
  auto found = understood(needs_, asked, answers);
  if (!found) {
    undo();
    return found.error();
  }
  found_ = std::move(*found);
  if (spoiled_)
    return {};
  name_answers_.assign(
      answers.end() - static_cast<std::ptrdiff_t>(needs_.names.size()),
      answers.end());
  return {};
}

void postgres_engine::undo() {
  again_ = separable_ = false;
  (void)scout_.take();
  std::vector<request> all;
  all.emplace_back(sql::rollback);
  exchange(std::move(all));
}

/// @param of_an_operation it was asked for one, not for the group as such
error postgres_engine::failed(const refusal& why, bool of_an_operation) {
  undo();
  again_ = why.again;
  separable_ = of_an_operation && why.of_statement();
  hindered_ = hindered_ || why.state == "55P03" || why.state == "57014";
  return why.why;
}

/// What the group is about is taken back; its operations say why.
void postgres_engine::spoil() {
  if (!std::exchange(spoiled_, true))
    undo();
}

void postgres_engine::flush() {
  auto more = changes_.flush(found_, shards_);
  if (more.empty())
    return;
  std::move(more.begin(), more.end(), std::back_inserter(script_));
  written_ = script_.size();
}

result<table> postgres_engine::ask(request what) {
  if (!answering_) {
    flush();  // it sees what was done before it
    reads_.push_back(script_.size());
    script_.push_back(std::move(what));
    return error{errc::bad_input, "its answer comes later"};
  }
  const auto at = reads_.at(next_read_++);
  if (at >= answers_.size())
    return link_ && link_->broken() ? *link_->broken() : down_;
  if (answers_[at].failed)
    return answers_[at].failed->why;
  return answers_[at].rows;
}

result<> postgres_engine::end() {
  if (spoiled_)
    return {};
  flush();
  answering_ = true;
  std::size_t later = 0;
  if (needs_.writes) {
    request commit{sql::commit};
    commit.sync = true;
    script_.insert(script_.begin() + static_cast<std::ptrdiff_t>(written_),
                   std::move(commit));
    for (auto& at : reads_)
      at += at >= written_ ? 1 : 0;
    later = written_ + 1;
  }
  for (auto i = later; i < script_.size(); ++i)
    script_[i].sync = true;  // each by itself
  if (!needs_.writes) {
    answers_ = exchange(script_);
    // Asking again changes nothing.
    if (link_->broken() && reach())
      answers_ = exchange(script_);
    return {};
  }
  answers_ = exchange(std::move(script_));
  // What a server says that ends a connection may come after the commit.
  if (answers_.size() < later)
    return resolve();
  for (std::size_t i = 0; i < later; ++i)
    if (answers_[i].failed)
      return link_->broken() ? resolve() : failed(*answers_[i].failed);
  if (answers_[written_].rows.did() != "COMMIT")
    return error{errc::unavailable, "PostgreSQL took the transaction back"};
  return {};
}

// The answer to COMMIT is lost. Our row in `writers` tells; it can be locked
// only when the server has done with the old connection.
result<> postgres_engine::resolve() {
  const auto end = steady::now() + home_.with.patience;
  for (;;) {
    if (connect()) {
      std::vector<request> all{request::of(sql::marked, me_)};
      const auto heard = exchange(std::move(all));
      if (heard.size() == 1 && !heard[0].failed) {
        if (heard[0].rows.rows() == 0)
          break;  // another server than it was
        if (heard[0].rows.integer(0, 0) == group_)
          return {};
        return error{errc::unavailable,
                     "the connection was lost before the commit"};
      }
    }
    if (steady::now() > end)
      break;
    pause(first_backoff);
  }
  return error{errc::unknown_outcome,
               "the answer to a commit was lost: " + down_.context};
}

// -- opening ------------------------------------------------------------------

result<std::unique_ptr<backend>> open(const options& how) {
  const auto read = options_of(how.url);
  if (!read)
    return error{errc::bad_input,
                 "store url: not as PostgreSQL's are: "
                 "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=..., "
                 "with what is special percent-encoded"};
  const auto& with = *read;
  auto on = open_schema(how, with);
  if (!on)
    return on.error();
  const home where{how.url, schema_of(how.bot), with};
  auto made = std::make_shared<postgres_engine>(std::move(*on), where,
                                                how.shards, *how.time, true);
  if (auto ok = made->start(); !ok)
    return ok.error();
  auto beside = [where, shards = how.shards,
                 time = how.time]() -> std::shared_ptr<engine> {
    return std::make_shared<postgres_engine>(nullptr, where, shards, *time,
                                             false);
  };
  return make_group_store(std::move(made), false, {}, nullptr,
                          {beside(), beside});
}

}  // namespace troupe::store::postgres
