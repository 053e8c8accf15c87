#include <atomic>

#include "store/faulty.hpp"
#include "tests/actors/cluster_rig.hpp"
#include "tests/actors/spans.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

// Of the rig's token.
constexpr std::int64_t rig_bot = 1;

tracing::trace_id trace_of(std::uint64_t update) {
  return tracing::trace_of(rig_bot, update);
}

const std::string post_webhook = "POST /webhook";
const std::string post_call = "POST /bot{token}/sendMessage";

/// A call may be through before its turn's actor has said so.
bool told(const span_box& spans, std::size_t calls, std::size_t turns) {
  return eventually([&] {
    return spans.named("call sendMessage").size() >= calls &&
           spans.named("turn").size() >= turns;
  });
}

}  // namespace

TEST_CASE("an update's trace leads from its arrival to Telegram's answer") {
  telegram_double telegram;
  span_box spans;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  REQUIRE(r.post_and_wait(text_update(7, 42, "my words")) == 200);
  REQUIRE(told(spans, 1, 1));
  const auto all = spans.all();
  CHECK(all.size() == 8);
  check_trace(all);
  for (auto& s : all) {
    INFO(s.name);
    CHECK(s.trace == trace_of(7));
    CHECK_FALSE(s.failed);
    for (auto& a : s.with)
      if (auto* text = std::get_if<std::string>(&a.value)) {
        CHECK(text->find("my words") == std::string::npos);
        CHECK(text->find("test-token") == std::string::npos);
      }
  }
  const auto root = only(all, post_webhook);
  CHECK(root.parent == tracing::span_id{});
  CHECK(root.kind == tracing::span_kind::server);
  CHECK(value_of(root, "http.response.status_code") == "200");
  CHECK(value_of(root, "messaging.message.id") == "7");
  CHECK(value_of(root, "troupe.chat") == "42");
  const auto turn = only(all, "turn");
  CHECK(turn.parent == root.id);
  CHECK(value_of(turn, "troupe.outcome") == "done");
  CHECK(value_of(turn, "troupe.kind") == "text_message");
  CHECK(only(all, "wait").parent == root.id);
  CHECK(only(all, "handler").parent == turn.id);
  CHECK(only(all, "commit").parent == turn.id);
  const auto call = only(all, "call sendMessage");
  CHECK(call.parent == root.id);
  CHECK(value_of(call, "troupe.outcome") == "sent");
  CHECK(only(all, "limits").parent == call.id);
  const auto attempt = only(all, post_call);
  CHECK(attempt.parent == call.id);
  CHECK(attempt.kind == tracing::span_kind::client);
  CHECK(value_of(attempt, "http.response.status_code") == "200");
  CHECK(value_of(attempt, "server.address") == "api.example");
  CHECK(value_of(attempt, "server.port") == "443");
  CHECK(value_of(attempt, "http.request.resend_count") == "-");
}

TEST_CASE("a redelivered update shares its trace") {
  telegram_double telegram;
  span_box spans;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  for (int i = 0; i < 3; ++i)
    REQUIRE(r.post_and_wait(text_update(7, 42, "once")) == 200);
  REQUIRE(told(spans, 1, 1));
  const auto all = spans.all();
  check_trace(all);
  CHECK(spans.of(trace_of(7)).size() == all.size());
  const auto arrivals = spans.named(post_webhook);
  REQUIRE(arrivals.size() == 3);
  for (auto& s : arrivals) {
    const bool root = s.parent == tracing::span_id{};
    CHECK(value_of(s, "troupe.duplicate") == (root ? "-" : "true"));
  }
  CHECK(spans.named("turn").size() == 1);
}

TEST_CASE("each attempt at a turn is a span, and says what was thrown") {
  telegram_double telegram;
  span_box spans;
  std::atomic<int> runs{0};
  auto bot = std::make_shared<counter_bot>([&](const std::string& text) {
    if (text == "poison" || ++runs == 1)
      throw std::runtime_error{"no such item"};
  });
  rig r{traced(fast(), spans), bot, memory_store(), telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 42, "again")) == 200);
  REQUIRE(told(spans, 1, 1));
  auto all = spans.all();
  check_trace(all);
  auto handlers = spans.named("handler");
  REQUIRE(handlers.size() == 2);
  CHECK(handlers[0].failed);
  CHECK(handlers[0].error == "no such item");
  CHECK(value_of(handlers[0], "error.type") == "handler");
  REQUIRE(handlers[0].moments.size() == 1);
  CHECK(handlers[0].moments[0].name == "exception");
  CHECK_FALSE(handlers[1].failed);
  CHECK(value_of(handlers[1], "troupe.try") == "2");
  CHECK(value_of(only(all, "turn"), "troupe.tries") == "2");

  // For good, and then turned again: each turn is a span of its own.
  REQUIRE(r.post_and_wait(text_update(2, 42, "poison")) == 200);
  const auto turned = [&](std::size_t times) {
    return eventually([&] {
      const auto found = spans.of(trace_of(2));
      return std::size_t(std::count_if(found.begin(), found.end(), [](auto& s) {
               return s.name == "turn";
             })) == times;
    });
  };
  REQUIRE(turned(1));
  std::promise<std::vector<store::dead_letter>> dead;
  r.store().dead_letters({}, 10, [&](auto got) { dead.set_value(*got); });
  const auto letters = dead.get_future().get();
  REQUIRE(letters.size() == 1);
  std::promise<void> retried;
  r.node().retry({letters[0].id}, [&](auto) { retried.set_value(); });
  retried.get_future().wait();
  REQUIRE(turned(2));
  all = spans.of(trace_of(2));
  check_trace(all);
  for (auto& s : all)
    if (s.name == "turn") {
      CHECK(s.failed);
      CHECK(value_of(s, "troupe.outcome") == "dead_letter");
    }
  CHECK(std::count_if(all.begin(), all.end(),
                      [](auto& s) { return s.name == "handler"; }) == 6);
}

TEST_CASE("each attempt at a call is a span, with Telegram's words") {
  telegram_double telegram{[](const auto& call, int nth) {
    std::optional<http::response> out;
    if (nth <= 2 || call.text.ends_with("bad")) {
      out.emplace();
      out->status = nth == 1 ? 429 : nth == 2 ? 502 : 400;
      out->body = nth == 1   ? R"({"ok":false,"error_code":429,)"
                               R"("description":"Too Many Requests",)"
                               R"("parameters":{"retry_after":0}})"
                  : nth == 2 ? "<html>"
                             : R"({"ok":false,"error_code":400,)"
                               R"("description":"Bad Request: no"})";
    }
    return out;
  }};
  span_box spans;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 42, "good")) == 200);
  REQUIRE(told(spans, 1, 1));
  REQUIRE(r.post_and_wait(text_update(2, 42, "bad")) == 200);
  REQUIRE(told(spans, 2, 2));
  auto all = spans.of(trace_of(1));
  check_trace(all);
  std::vector<std::string> statuses, resends, errors;
  for (auto& s : all)
    if (s.name == post_call) {
      statuses.push_back(value_of(s, "http.response.status_code"));
      resends.push_back(value_of(s, "http.request.resend_count"));
      errors.push_back(value_of(s, "error.type"));
    }
  CHECK(statuses == std::vector<std::string>{"429", "502", "200"});
  CHECK(resends == std::vector<std::string>{"-", "1", "2"});
  CHECK(errors[0] == "429");
  CHECK(errors[1] != "-");
  CHECK(errors[2] == "-");
  CHECK(value_of(only(all, "call sendMessage"), "troupe.tries") == "3");

  all = spans.of(trace_of(2));
  check_trace(all);
  const auto refused = only(all, "call sendMessage");
  CHECK(refused.failed);
  CHECK(value_of(refused, "troupe.outcome") == "failed");
  const auto attempt = only(all, post_call);
  CHECK(attempt.failed);
  CHECK(attempt.error.find("no") != std::string::npos);
}

TEST_CASE("a trace goes on where another process takes an update over") {
  folder at;
  std::atomic<bool> stuck{true};
  span_box before, after;
  auto telegram = std::make_unique<telegram_double>();
  // Its handler never got so far, and what it committed was not yet answered.
  auto bot = std::make_shared<counter_bot>([&](const std::string& text) {
    if (text == "two" && stuck)
      throw std::runtime_error{"not yet"};
  });
  auto how = fast();
  how.turns.attempts = 1'000'000;
  how.turns.backoff = 1ms;
  const auto silent = [&](const auto&, int) {
    http::response no;
    no.status = 502;
    return std::optional{no};
  };
  {
    telegram_double dead{silent};
    rig r{traced(how, before), bot, sqlite_store(at / "s.db"), dead.url()};
    REQUIRE(r.post_and_wait(text_update(1, 42, "one")) == 200);
    REQUIRE(r.post_and_wait(text_update(2, 42, "two")) == 200);
    REQUIRE(eventually([&] { return !before.named(post_call).empty(); }));
    REQUIRE(eventually([&] { return before.named("handler").size() > 2; }));
  }
  stuck = false;
  rig r{traced(how, after), bot, sqlite_store(at / "s.db"), telegram->url()};
  REQUIRE(told(after, 2, 1));
  for (std::uint64_t update : {1, 2}) {
    INFO(update);
    auto all = before.of(trace_of(update));
    const auto more = after.of(trace_of(update));
    CHECK(only(all, post_webhook).parent == tracing::span_id{});
    CHECK(only(more, "call sendMessage").trace == trace_of(update));
    all.insert(all.end(), more.begin(), more.end());
    check_trace(all);
    only(all, "turn");
  }
}

TEST_CASE("a trace goes on where another node turns what one accepted") {
  span_box first_spans, second_spans;
  telegram_double telegram;
  const auto bot = std::make_shared<counter_bot>();
  rig first{traced(patient("a"), first_spans), bot, way_to("tracing"),
            telegram.url()};
  rig second{traced(patient("b"), second_spans), bot, way_to("tracing"),
             telegram.url()};
  REQUIRE(settled({&first, &second}));
  constexpr std::uint64_t chats = 20;
  for (std::uint64_t n = 1; n <= chats; ++n)
    first.post(text_update(std::int64_t(n), std::int64_t(n), "hi"));
  REQUIRE(first.settle());
  const auto both = [&](const std::string& name) {
    return first_spans.named(name).size() + second_spans.named(name).size();
  };
  REQUIRE(eventually([&] {
    return both("call sendMessage") == chats && both("turn") == chats;
  }));
  CHECK(second_spans.named(post_webhook).empty());
  CHECK(!second_spans.named("turn").empty());
  for (std::uint64_t n = 1; n <= chats; ++n) {
    auto all = first_spans.of(trace_of(n));
    const auto more = second_spans.of(trace_of(n));
    all.insert(all.end(), more.begin(), more.end());
    CHECK(all.size() == 8);
    check_trace(all);
  }
}

TEST_CASE("what a turn tells another chat has a trace that it links to") {
  telegram_double telegram;
  span_box spans;
  rig r{traced(patient("a"), spans), std::make_shared<counter_bot>(),
        way_to("links"), telegram.url()};
  REQUIRE(settled({&r}));
  // To a chat of another shard: its call is left to that chat.
  std::int64_t other = 43;
  while (shard_of(chat_key::chat(other), cluster_shards) ==
         shard_of(chat_key::chat(42), cluster_shards))
    ++other;
  REQUIRE(r.post_and_wait(
              text_update(5, 42, "tell " + std::to_string(other))) == 200);
  REQUIRE(told(spans, 2, 2));
  const auto turn = only(spans.of(trace_of(5)), "turn");
  REQUIRE(turn.links.size() == 1);
  const auto linked = spans.of(turn.links[0].trace);
  check_trace(linked);
  CHECK(only(linked, "turn").id == turn.links[0].span);
  CHECK(value_of(only(linked, "call sendMessage"), "troupe.chat") ==
        std::to_string(other));
}

TEST_CASE("a timer's turn is the root of a trace of its own") {
  telegram_double telegram;
  span_box spans;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 42, "soon")) == 200);
  REQUIRE(told(spans, 2, 2));
  for (auto& turn : spans.named("turn")) {
    if (turn.trace == trace_of(1))
      continue;
    CHECK(turn.parent == tracing::span_id{});
    CHECK(value_of(turn, "troupe.timer") == "soon");
    const auto all = spans.of(turn.trace);
    check_trace(all);
    CHECK(only(all, "call sendMessage").parent == turn.id);
  }
  CHECK(spans.named("turn").size() == 2);
}

TEST_CASE("a campaign's command, ticks and calls have whole traces, too") {
  telegram_double telegram;
  span_box spans;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  for (int chat = 1; chat <= 3; ++chat)
    REQUIRE(r.post_and_wait(text_update(chat, chat, "hi")) == 200);
  REQUIRE(told(spans, 3, 3));
  std::promise<result<std::string>> page;
  r.node().start_campaign(R"({"method":"sendMessage","params":{"text":"hi"}})",
                          [&](auto got) { page.set_value(std::move(got)); });
  REQUIRE(page.get_future().get().has_value());
  // Three replies and three copies.
  const auto whole = [&] {
    const auto all = spans.all();
    return std::all_of(all.begin(), all.end(), [&](auto& s) {
      return s.parent == tracing::span_id{} ||
             std::any_of(all.begin(), all.end(), [&](auto& o) {
               return o.trace == s.trace && o.id == s.parent;
             });
    });
  };
  REQUIRE(told(spans, 6, 6));
  CHECK(eventually(whole));
  for (auto& s : spans.named("turn"))
    if (value_of(s, "troupe.kind") == "campaign")
      CHECK(s.parent == tracing::span_id{});
}

TEST_CASE("updates that are polled for have a root, too") {
  telegram_double telegram;
  span_box spans;
  auto how = traced(fast(), spans);
  how.poll = true;
  telegram.queue(9, text_update(9, 42, "polled"));
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  REQUIRE(told(spans, 1, 1));
  const auto all = spans.of(trace_of(9));
  check_trace(all);
  CHECK(only(all, "receive").parent == tracing::span_id{});
}

TEST_CASE("only the traces of the sample are told of, each whole") {
  telegram_double telegram;
  span_box spans;
  auto how = traced(fast(), spans);
  how.tracing.sample = 0.3;
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  const tracing::sampler takes{0.3};
  std::size_t expected = 0;
  for (std::uint64_t id = 1; id <= 60; ++id) {
    r.post(text_update(std::int64_t(id), std::int64_t(id), "hi"));
    expected += takes.takes(trace_of(id)) ? 1 : 0;
  }
  REQUIRE(r.settle());
  REQUIRE(expected > 5);
  REQUIRE(expected < 40);
  REQUIRE(told(spans, expected, expected));
  REQUIRE(eventually([&] { return telegram.accepted() == 60; }));
  CHECK(eventually([&] { return spans.all().size() == 8 * expected; }));
}

TEST_CASE("nothing is told of a sample of nothing") {
  telegram_double telegram;
  span_box spans;
  auto how = traced(fast(), spans);
  how.tracing.sample = 0;
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 42, "hi")) == 200);
  REQUIRE(eventually([&] { return r.total("calls_sent") == 1; }));
  CHECK(spans.all().empty());
}

TEST_CASE("the root links to the trace of who posted it, if that is kept") {
  telegram_double telegram;
  span_box spans;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  const std::string theirs = "4bf92f3577b34da6a3ce929d0e0e4736";
  int id = 0;
  for (const std::string end : {"-01", "-00", "-junk"}) {
    http::fields with;
    with.add("traceparent", "00-" + theirs + "-00f067aa0ba902b7" + end);
    REQUIRE(r.post_and_wait(text_update(++id, 42, "hi"), with) == 200);
  }
  const auto roots = spans.named(post_webhook);
  REQUIRE(roots.size() == 3);
  REQUIRE(roots[0].links.size() == 1);
  CHECK(to_string(roots[0].links[0].trace) == theirs);
  CHECK(roots[0].trace == trace_of(1));
  CHECK(roots[1].links.empty());
  CHECK(roots[2].links.empty());
}

TEST_CASE("an update that the store refused has a span that says so") {
  telegram_double telegram;
  span_box spans;
  auto store = std::make_unique<store::faulty>(memory_store());
  auto& broken = *store;
  rig r{traced(fast(), spans), std::make_shared<counter_bot>(),
        std::move(store), telegram.url()};
  broken.at_accept(1, {});
  REQUIRE(r.post_and_wait(text_update(1, 42, "hi")) == 503);
  REQUIRE(r.post_and_wait(text_update(1, 42, "hi")) == 200);
  REQUIRE(told(spans, 1, 1));
  const auto all = spans.of(trace_of(1));
  check_trace(all);
  const auto arrivals = spans.named(post_webhook);
  REQUIRE(arrivals.size() == 2);
  CHECK(arrivals[0].failed);
  CHECK(value_of(arrivals[0], "http.response.status_code") == "503");
  CHECK_FALSE(arrivals[1].failed);
  CHECK(arrivals[0].id != arrivals[1].id);
}
