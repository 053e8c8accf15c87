#include <utility>

#include "actors/holdings_page.hpp"
#include "app/stats_pages.hpp"
#include "core/json.hpp"

namespace troupe::app {
namespace {

class idle_node final : public node_view {
 public:
  explicit idle_node(store::backend& store) : store_{store} {}
  bool ready() const noexcept override { return false; }
  void stats(callback<std::string> done) override {
    store_.stats([done = std::move(done)](result<store::figures> got) {
      if (!got)
        return done(got.error());
      json::object out{{"running", false}};
      out["store"] = json::object{{"journal", got->journal},
                                  {"outbox", got->outbox},
                                  {"timers", got->timers},
                                  {"chats", got->chats},
                                  {"dead_letters", got->dead_letters},
                                  {"bytes", got->bytes},
                                  {"free_bytes", got->free_bytes}};
      done(json::serialize(out));
    });
  }
  void chat_stats(chat_key, callback<std::string> done) override {
    done(error{errc::unavailable, "the node is not running"});
  }
  void retry(std::vector<dead_letter_id> which,
             callback<std::size_t> done) override {
    store_.retry(std::move(which), [done = std::move(done)](
                                       result<std::vector<store::entry>> got) {
      if (!got)
        return done(got.error());
      done(got->size());
    });
  }
  void start_campaign(const std::string&, callback<std::string> done) override {
    done(error{errc::unavailable, "the node is not running"});
  }
  void steer_campaign(std::int64_t, const std::string&,
                      callback<std::string> done) override {
    done(error{errc::unavailable, "the node is not running"});
  }
  void campaigns(std::int64_t, callback<std::string> done) override {
    done(error{errc::unavailable, "the node is not running"});
  }
  void forget(chat_key key, callback<std::string> done) override;
  result<std::string> ask_to_drain(const std::string&) override {
    return error{errc::unavailable, "the node is not running"};
  }

 private:
  store::backend& store_;
};

/// Longer than it takes; then another may have the shard anyway.
constexpr milliseconds forget_lease{30'000};

/// No node may be at it: the chat's shard is ours for a moment.
void idle_node::forget(chat_key key, callback<std::string> done) {
  if (key.type == chat_key::kind::campaign)
    return done(error{errc::bad_input, "a campaign is no chat"});
  const auto shard = shard_of(key, store_.shards());
  store_.claim(
      {shard}, "forget", forget_lease,
      [&store = store_, key,
       done = std::move(done)](result<std::vector<store::lease>> got) {
        if (!got)
          return done(got.error());
        if (got->empty())
          return done(error{errc::conflict,
                            "a node that can't be asked has the chat; give "
                            "its stats.listen"});
        const auto held = got->front();
        store.forget(
            held, key, held.tail,
            [&store, key, held, done](result<store::holdings> removed) {
              store.release({held}, [&store, key, removed, done](result<>) {
                if (!removed)
                  return done(removed.error());
                store.about(key, [key, removed = *removed,
                                  done](result<store::holdings> left) {
                  if (!left)
                    return done(left.error());
                  done(actors::forgotten_page(key, removed, *left));
                });
              });
            });
      });
}

}  // namespace

std::shared_ptr<node_view> make_idle_node(store::backend& store) {
  return std::make_shared<idle_node>(store);
}

}  // namespace troupe::app
