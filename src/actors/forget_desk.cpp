#include "actors/forget_desk.hpp"

#include <utility>
#include <vector>

#include "actors/campaign_desk.hpp"
#include "actors/hints.hpp"
#include "actors/holdings_page.hpp"

namespace troupe::actors {

namespace {

constexpr std::string_view forget_body = R"({"operator":"forget"})";
constexpr milliseconds forget_look{25};
constexpr unsigned forget_looks = 200;

struct wish {
  std::shared_ptr<services> shared;
  chat_key key;
  shard_id shard;
  seq_no seq;
  store::holdings had;
  callback<std::string> done;
};

void say_what_is_left(const std::shared_ptr<wish>& w) {
  w->shared->store.about(w->key, [w](result<store::holdings> left) {
    if (!left)
      return w->done(left.error());
    w->done(forgotten_page(w->key, w->had, *left));
  });
}

/// Looks until the owner, here or elsewhere, has done it.
void await_forgotten(const std::shared_ptr<wish>& w, unsigned looks) {
  std::unique_lock guard{w->shared->closing};
  if (w->shared->closed) {
    guard.unlock();
    return w->done(error{errc::cancelled, "the node stops"});
  }
  w->shared->store.entries(
      w->shard, {w->seq}, [w, looks](result<std::vector<store::entry>> found) {
        if (found && found->empty())
          return say_what_is_left(w);
        if (looks == 0)
          return w->done(error{
              errc::timed_out,
              "accepted, but not done within 5 s: the chat is forgotten when "
              "what came before has been turned; ask again then"});
        w->shared->loop.after(forget_look,
                              [w, looks] { await_forgotten(w, looks - 1); });
      });
}

}  // namespace

bool asks_to_forget(const store::entry& what) {
  return what.type == store::entry_kind::update && what.id.value < 0 &&
         what.body && *what.body == forget_body;
}

void forget_chat(const std::shared_ptr<services>& shared, chat_key key,
                 callback<std::string> done) {
  if (key.type == chat_key::kind::campaign)
    return done(error{errc::bad_input, "a campaign is no chat"});
  if (shared->draining)
    return done(error{errc::unavailable, "the node stops"});
  auto w = std::make_shared<wish>(
      wish{shared, key, shared->shard_id_of(key), {}, {}, std::move(done)});
  shared->store.about(key, [w](result<store::holdings> had) {
    if (!had)
      return w->done(had.error());
    w->had = *had;
    const auto now = w->shared->how.time->wall();
    auto batch = std::make_shared<std::vector<store::arrival>>();
    batch->push_back({command_id(now), w->key,
                      store::make_payload(std::string{forget_body}), now});
    w->shared->store.accept(
        *batch, [w, batch](result<std::vector<store::receipt>> got) {
          if (!got)
            return w->done(got.error());
          if (!got->front().fresh)
            return w->done(
                error{errc::conflict, "two commands at once: try again"});
          w->seq = got->front().seq;
          hint_shards(*w->shared, *batch, *got);
          await_forgotten(w, forget_looks);
        });
  });
}

}  // namespace troupe::actors
