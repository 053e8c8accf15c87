#include "store/faulty.hpp"
#include "tests/actors/cluster_rig.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::testing;

// A chat is forgotten while its bot runs.

namespace {

template <class T, class Start>
result<T> answer_to(Start start) {
  std::promise<result<T>> p;
  start([&](result<T> r) { p.set_value(std::move(r)); });
  return p.get_future().get();
}

json::object forget(rig& r, std::int64_t chat) {
  auto page = answer_to<std::string>(
      [&](auto done) { r.node().forget(chat_key::chat(chat), done); });
  INFO((page ? std::string{} : to_string(page.error())));
  REQUIRE(page.has_value());
  return parse_json(*page).value().as_object();
}

std::uint64_t kept(store::backend& s, std::int64_t chat) {
  return answer_to<store::holdings>(
             [&](auto done) { s.about(chat_key::chat(chat), done); })
      .value()
      .sum();
}

std::uint64_t sum_of(const json::value& counts) {
  std::uint64_t n = 0;
  for (const auto& [name, count] : counts.as_object())
    n += count.to_number<std::uint64_t>();
  return n;
}

}  // namespace

TEST_CASE("a forgotten chat's next message begins from nothing") {
  telegram_double telegram;
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  r.post_and_wait(text_update(1, 42, "a"));
  r.post_and_wait(text_update(2, 42, "timer"));
  r.post_and_wait(text_update(3, 7, "b"));
  CHECK(eventually([&] { return telegram.accepted() == 3; }));
  CHECK(eventually([&] { return kept(r.store(), 42) == 3; }));

  const auto page = forget(r, 42);
  CHECK(page.at("chat") == "42");
  CHECK(page.at("removed").at("records") == 1);
  CHECK(page.at("removed").at("timers") == 1);
  CHECK(page.at("removed").at("members") == 1);
  CHECK(sum_of(page.at("removed")) == 3);
  CHECK(sum_of(page.at("left")) == 0);
  CHECK(kept(r.store(), 7) == 2);
  CHECK(sum_of(forget(r, 42).at("removed")) == 0);

  r.post_and_wait(text_update(4, 42, "c"));
  r.post_and_wait(text_update(5, 7, "d"));
  CHECK(eventually([&] { return telegram.accepted() == 5; }));
  CHECK(telegram.texts(42) ==
        std::vector<std::string>{"n=1 text=a", "n=2 text=timer", "n=1 text=c"});
  CHECK(telegram.texts(7) == counted({"b", "d"}));
  // Who comes back is a member again.
  CHECK(eventually([&] { return kept(r.store(), 42) == 2; }));
}

TEST_CASE("what a chat had to send, and was about to do, goes with it") {
  std::atomic<bool> open{false};
  telegram_double telegram{[&](const auto&, int) {
    std::optional<http::response> later;
    if (!open) {
      later.emplace();
      later->status = 500;
      later->body = R"({"ok":false,"error_code":500,"description":"x"})";
    }
    return later;
  }};
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  for (int i = 1; i <= 40; ++i)
    REQUIRE(r.post_and_wait(text_update(i, 42, "x")) == 200);
  r.post_and_wait(text_update(41, 42, "timer"));
  CHECK(eventually([&] { return r.total("turns_done") == 41; }));
  const auto page = forget(r, 42);
  CHECK(page.at("removed").at("calls") == 41);
  CHECK(sum_of(page.at("left")) == 0);
  open = true;
  r.post_and_wait(text_update(50, 42, "back"));
  CHECK(eventually([&] {
    const auto texts = telegram.texts(42);
    return !texts.empty() && texts.back() == "n=1 text=back";
  }));
  // The one that was about to leave may have.
  CHECK(telegram.texts(42).size() <= 2);
  CHECK(eventually([&] { return r.stats().at("store").at("outbox") == 0; }));
}

TEST_CASE("a chat is forgotten after what came before, whatever waits") {
  std::promise<void> door;
  auto open = door.get_future().share();
  auto bot = std::make_shared<counter_bot>([open](const std::string& text) {
    if (text == "blocks")
      open.wait();
  });
  telegram_double telegram;
  rig r{fast(), bot, memory_store(), telegram.url()};
  r.post_and_wait(text_update(1, 42, "blocks"));
  r.post_and_wait(text_update(2, 42, "waits"));
  std::promise<result<std::string>> answer;
  r.node().forget(chat_key::chat(42),
                  [&](result<std::string> page) { answer.set_value(page); });
  CHECK(eventually([&] {
    return answer_to<std::vector<store::entry>>([&](auto done) {
             r.store().backlog(shard_of(chat_key::chat(42), r.store().shards()),
                               {}, 10, done);
           })
               .value()
               .size() == 3;
  }));
  r.post_and_wait(text_update(3, 42, "after"));
  door.set_value();
  const auto page = answer.get_future().get();
  // A person is not kept waiting for a handler that blocks.
  CHECK((page || page.error().code == errc::timed_out));
  CHECK(eventually([&] {
    const auto texts = telegram.texts(42);
    return !texts.empty() && texts.back() == "n=1 text=after";
  }));
}

TEST_CASE("a chat is forgotten once, whichever operation of the store fails") {
  for (const auto how :
       {store::fault::what::fail, store::fault::what::commit_then_error}) {
    for (std::uint64_t n = 1; n <= 14; ++n) {
      INFO("operation " << n
                        << (how == store::fault::what::fail
                                ? " fails"
                                : " is done, and not answered"));
      telegram_double telegram;
      auto with = std::make_unique<store::faulty>(memory_store());
      auto* plan = with.get();
      rig r{fast(), std::make_shared<counter_bot>(), std::move(with),
            telegram.url()};
      r.post_and_wait(text_update(1, 42, "a"));
      CHECK(eventually([&] { return kept(r.store(), 42) == 2; }));
      plan->at(plan->operations() + n, {how});
      // Asked again until it is answered, as a person would.
      bool done = false;
      for (int i = 0; i < 5 && !done; ++i)
        done = answer_to<std::string>([&](auto answer) {
                 r.node().forget(chat_key::chat(42), answer);
               }).has_value();
      CHECK(done);
      plan->heal();
      CHECK(eventually([&] { return kept(r.store(), 42) == 0; }));
      REQUIRE(r.post_and_wait(text_update(2, 42, "b")) == 200);
      CHECK(eventually([&] { return telegram.accepted() == 2; }));
      CHECK(telegram.texts(42) ==
            std::vector<std::string>{"n=1 text=a", "n=1 text=b"});
    }
  }
}

TEST_CASE("a chat is forgotten by whichever node owns it, asked of another") {
  constexpr std::int64_t chats = 12;
  telegram_double telegram;
  rig a{patient("a"), std::make_shared<counter_bot>(), way_to("forget"),
        telegram.url()};
  rig b{patient("b"), std::make_shared<counter_bot>(), way_to("forget"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  std::int64_t update = 1;
  for (std::int64_t chat = 1; chat <= chats; ++chat)
    a.post(text_update(update++, chat, "x"));
  REQUIRE(a.settle());
  CHECK(eventually([&] { return telegram.accepted() == chats; }));
  for (std::int64_t chat = 1; chat <= chats; ++chat) {
    CHECK(eventually([&] { return kept(a.store(), chat) == 2; }));
    CHECK(sum_of(forget(chat % 2 ? a : b, chat).at("left")) == 0);
    CHECK(kept(a.store(), chat) == 0);
  }
  for (std::int64_t chat = 1; chat <= chats; ++chat)
    b.post(text_update(update++, chat, "y"));
  REQUIRE(b.settle());
  for (std::int64_t chat = 1; chat <= chats; ++chat) {
    CHECK(eventually([&] { return telegram.texts(chat).size() == 2; }));
    CHECK(telegram.texts(chat) ==
          std::vector<std::string>{"n=1 text=x", "n=1 text=y"});
  }
}

TEST_CASE("a handler's tags reach the audience with its turn") {
  class tagging_chat final : public detail::live_chat {
   public:
    void load(std::string_view, std::string_view, std::string_view,
              std::int64_t) override {}
    detail::turn_result run(const detail::turn_event& what,
                            const detail::turn_scene&) override {
      detail::turn_result r;
      const auto update = parse_json(*what.body);
      const std::string text{update->at("message").at("text").as_string()};
      if (text.starts_with('-'))
        r.wanted.untagged.push_back(text.substr(1));
      else
        r.wanted.tagged.push_back(text);
      return r;  // and no sight: a turn of a press has none, either
    }
  };
  class tagging_bot final : public detail::bot_base {
   public:
    std::unique_ptr<detail::live_chat> spawn(std::string,
                                             std::int64_t) const override {
      return std::make_unique<tagging_chat>();
    }
  };
  telegram_double telegram;
  rig r{fast(), std::make_shared<tagging_bot>(), memory_store(),
        telegram.url()};
  auto tags = [&] {
    auto all = answer_to<std::vector<store::member>>([&](auto done) {
                 r.store().audience({}, 10, done);
               }).value();
    return all.empty() ? std::vector<std::string>{} : all.at(0).tags;
  };
  for (int i = 1; i <= 17; ++i)
    REQUIRE(r.post_and_wait(text_update(i, 42, "t" + std::to_string(i + 10))) ==
            200);
  CHECK(eventually([&] { return r.total("turns_done") == 17; }));
  CHECK(tags().size() == 16);
  CHECK(tags().back() == "t26");  // t27 had no room
  REQUIRE(r.post_and_wait(text_update(20, 42, "-t11")) == 200);
  CHECK(eventually([&] { return tags().size() == 15; }));
}
