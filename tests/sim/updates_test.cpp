#include "sim/feed.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace std::chrono_literals;
using telegram::update_kind;

namespace {

const mono_time t0{std::chrono::hours{1}};

queued_update made(std::int64_t id, mono_time expires = t0 + 24h) {
  queued_update u;
  u.id = {id};
  u.expires = expires;
  u.body = "{}";
  return u;
}

std::vector<std::int64_t> ids(const std::vector<const queued_update*>& from) {
  std::vector<std::int64_t> out;
  for (auto u : from)
    out.push_back(u->id.value);
  return out;
}

using numbers = std::vector<std::int64_t>;

update_queue five() {
  update_queue q{{10}};
  for (int i = 10; i < 15; ++i)
    q.push(made(i));
  return q;
}

poller::request asks(poller::token who, std::int64_t offset,
                     std::int64_t timeout = 50, std::int64_t limit = 100) {
  return {who, offset, limit, timeout};
}

}  // namespace

TEST_CASE("update queue: offset 0 forgets nothing, however often it comes") {
  auto q = five();
  for (int i = 0; i < 2; ++i) {
    CHECK(q.confirm(0).count == 0);
    CHECK(ids(q.read(0, 100, t0)) == numbers{10, 11, 12, 13, 14});
  }
  CHECK(ids(q.read(0, 2, t0)) == numbers{10, 11});
}

TEST_CASE("update queue: a positive offset confirms what is below it") {
  auto q = five();
  auto c = q.confirm(12);
  CHECK(c.count == 2);
  CHECK(c.below == 12);
  CHECK(ids(q.read(12, 100, t0)) == numbers{12, 13, 14});
  CHECK(q.confirm(15).count == 3);
  CHECK(q.size() == 0);
}

TEST_CASE("update queue: a negative offset keeps only the last ones") {
  auto q = five();
  CHECK(q.confirm(-2).count == 3);
  CHECK(ids(q.read(-2, 100, t0)) == numbers{13, 14});
  CHECK(q.confirm(-9).count == 0);
  update_queue empty{{1}};
  CHECK(empty.confirm(-1).count == 0);
  CHECK(empty.read(-1, 100, t0).empty());
}

TEST_CASE("update queue: an offset far off falls back to the head") {
  auto q = five();
  CHECK(q.confirm(26).count == 0);
  CHECK(ids(q.read(26, 100, t0)) == numbers{10, 11, 12, 13, 14});
  CHECK(q.confirm(25).count == 5);
}

TEST_CASE("update queue: an old offset is no trouble after ids went down") {
  update_queue q{{900'000'000}};
  q.push(made(900'000'000));
  q.confirm(900'000'001);
  q.jump({3'000'000});
  q.push(made(3'000'000));
  CHECK(q.confirm(900'000'001).count == 0);
  CHECK(ids(q.read(900'000'001, 100, t0)) == numbers{3'000'000});
}

TEST_CASE("update queue: what has expired is gone without a trace") {
  update_queue q{{1}};
  q.push(made(1, t0 + 30s));
  q.push(made(2));
  CHECK(ids(q.read(0, 100, t0 + 29s)) == numbers{1, 2});
  CHECK(ids(q.read(0, 100, t0 + 30s)) == numbers{2});
  CHECK(q.expired() == 1);
}

TEST_CASE("update queue: Telegram's bounds hold and are counted") {
  update_queue q{{1}};
  auto large = made(1);
  large.body.assign(update_queue::max_update_bytes + 1, 'x');
  CHECK_FALSE(q.push(large));
  for (std::size_t i = 0; i < update_queue::max_updates; ++i)
    REQUIRE(q.push(made(static_cast<std::int64_t>(i) + 1)));
  CHECK_FALSE(q.push(made(200'000)));
  CHECK(q.dropped() == 2);
}

TEST_CASE("update queue: lives and queues are those of the real server") {
  CHECK(life_of(update_kind::inline_query) == 30s);
  CHECK(life_of(update_kind::callback_query) == 150s);
  CHECK(life_of(update_kind::chosen_inline_result) == 600s);
  CHECK(life_of(update_kind::message) == 86'400s);
  std::int64_t step = std::int64_t{1} << 33;
  CHECK(queue_of(update_kind::message, -7, 5, 0) == -7);
  CHECK(queue_of(update_kind::edited_message, -7, 5, 0) == -7);
  CHECK(queue_of(update_kind::callback_query, -7, 5, 0) == 5 + 3 * step);
  CHECK(queue_of(update_kind::my_chat_member, -7, 5, 0) == -7 + 5 * step);
  CHECK(queue_of(update_kind::message_reaction, -7, 5, 0) == -7 + 8 * step);
  CHECK(queue_of(update_kind::poll_answer, 0, 5, 77) == 77);
}

TEST_CASE("getUpdates: what waits is answered at once") {
  auto q = five();
  poller p;
  auto step = p.begin(asks(1, 0), q, t0);
  REQUIRE(step.now);
  CHECK(step.now->who == 1);
  CHECK_FALSE(p.wake());
}

TEST_CASE("getUpdates: a held call ends with the first update or its time") {
  update_queue q{{1}};
  poller p;
  CHECK_FALSE(p.begin(asks(1, 0, 50), q, t0).now);
  CHECK_FALSE(p.poll(q, t0 + 49s));
  REQUIRE(p.wake() == t0 + 50s);
  auto late = p.poll(q, t0 + 50s);
  REQUIRE(late);
  CHECK(late->who == 1);

  p.begin(asks(2, 0, 90), q, t0 + 100s);
  CHECK(p.wake() == t0 + 150s);  // 50 s is the most
  q.push(made(1));
  CHECK_FALSE(p.poll(q, t0 + 101s));
  REQUIRE(p.wake() < t0 + 101s + 10ms);
  CHECK(p.poll(q, *p.wake())->who == 2);
}

TEST_CASE("getUpdates: the second of two waiting calls throws the first out") {
  update_queue q{{1}};
  poller p;
  p.begin(asks(1, 0), q, t0);
  auto step = p.begin(asks(2, 0), q, t0 + 10s);
  CHECK_FALSE(step.now);
  REQUIRE(step.thrown_out);
  CHECK(step.thrown_out->who == 1);
  CHECK(step.thrown_out->delay == 0ms);
  // Who fights on is slowed down to one fight per 3 s.
  auto again = p.begin(asks(3, 0), q, t0 + 10s + 100ms);
  CHECK(again.thrown_out->who == 2);
  CHECK(again.thrown_out->delay == 2900ms);
}

TEST_CASE("getUpdates: a second call that finds updates throws nobody out") {
  update_queue q{{1}};
  poller p;
  p.begin(asks(1, 0), q, t0);
  q.push(made(1));
  auto step = p.begin(asks(2, 0), q, t0 + 5s);
  CHECK(step.now);
  CHECK_FALSE(step.thrown_out);
}

TEST_CASE("getUpdates: a poller that spins is slowed down") {
  update_queue q{{1}};
  poller p;
  CHECK(p.begin(asks(1, 5, 0), q, t0).now);
  CHECK_FALSE(p.begin(asks(2, 5, 0), q, t0 + 1s).now);
  CHECK(p.wake() == t0 + 4s);
  q = five();
  auto quick = p.begin(asks(3, 5, 0), q, t0 + 1s + 100ms);
  CHECK(quick.now->limit == 1);
  CHECK(p.begin(asks(4, 5, 0), q, t0 + 10s).now->limit == 100);
}

TEST_CASE("feed: kinds that are not allowed cost no update id") {
  feed f{{}};
  auto before = f.updates().next();
  CHECK_FALSE(f.push(update_kind::message_reaction, 1, R"("x":{})", t0));
  CHECK(f.updates().next() == before);
  CHECK(f.push(update_kind::message, 1, R"("message":{})", t0) == before);
  params with;
  with.add("allowed_updates", R"(["message_reaction","nonsense"])");
  with.add("timeout", "0");
  f.begin_poll(1, with, t0);
  CHECK(f.allows(update_kind::message_reaction));
  CHECK_FALSE(f.allows(update_kind::message));
  params absent;
  f.begin_poll(2, absent, t0 + 10s);
  CHECK_FALSE(f.allows(update_kind::message));
}

TEST_CASE("feed: ids start at random between Telegram's bounds and ascend") {
  feed a{{1.0, 0, 1, 0}}, b{{1.0, 0, 2, 0}};
  CHECK(a.updates().next() != b.updates().next());
  CHECK(a.updates().next().value >= 2'000'001);
  CHECK(a.updates().next().value <= 1'000'000'000);
  auto first = a.push(update_kind::message, 1, R"("message":{})", t0);
  auto second = a.push(update_kind::message, 1, R"("message":{})", t0);
  CHECK(second->value == first->value + 1);
  CHECK(a.updates().find(*first)->body == R"({"update_id":)" +
                                              std::to_string(first->value) +
                                              ",\n\"message\":{}}");
}

TEST_CASE("feed: a webhook and getUpdates exclude each other") {
  feed f{{}};
  params none, hook;
  hook.add("url", "http://127.0.0.1:1/webhook");
  moment now{t0, from_ms(0)};
  f.begin_poll(1, none, t0);
  params waits;
  waits.add("timeout", "50");
  CHECK_FALSE(f.begin_poll(2, waits, t0 + 10s).step.now);
  CHECK(f.set_webhook(hook, now).status == 200);
  auto thrown_out = f.take_refused();
  REQUIRE(thrown_out);
  CHECK(thrown_out->who == 2);
  auto refused = f.begin_poll(3, none, t0 + 20s);
  REQUIRE(refused.refused);
  CHECK(refused.refused->status == 409);
  f.delete_webhook(none);
  CHECK_FALSE(f.begin_poll(4, none, t0 + 30s).refused);
}

TEST_CASE("feed: setWebhook answers as Telegram does") {
  feed f{{}};
  auto at = [](std::chrono::seconds s) { return moment{t0 + s, from_ms(0)}; };
  params hook;
  hook.add("url", "https://example.org/x");
  CHECK(f.set_webhook(hook, at(0s)).body.find("Webhook was set") !=
        std::string::npos);
  CHECK(f.set_webhook(hook, at(0s)).body.find("Webhook is already set") !=
        std::string::npos);
  params other;
  other.add("url", "https://example.org/y");
  CHECK(f.set_webhook(other, at(0s)).status == 429);
  CHECK(f.set_webhook(other, at(1s)).status == 200);
  params odd;
  odd.add("url", "ftp://example.org");
  CHECK(f.set_webhook(odd, at(5s)).status == 400);
  params secret;
  secret.add("url", "https://example.org/x");
  secret.add("secret_token", "not allowed!");
  CHECK(f.set_webhook(secret, at(6s)).status == 400);
  params gone;
  CHECK(f.set_webhook(gone, at(7s)).body.find("Webhook was deleted") !=
        std::string::npos);
  CHECK(f.delete_webhook(gone).body.find("Webhook is already deleted") !=
        std::string::npos);
}

TEST_CASE("feed: getWebhookInfo shows what waits and the last error") {
  feed f{{}};
  params hook;
  hook.add("url", "http://127.0.0.1:1/webhook");
  moment now{t0, from_ms(1'700'000'000'000)};
  f.set_webhook(hook, now);
  f.push(update_kind::message, 1, R"("message":{})", t0);
  CHECK(f.webhook_info(now).body.find("last_error") == std::string::npos);
  auto job = f.next(t0);
  REQUIRE(job);
  f.done(job->what, 500, std::nullopt, "Wrong response from the webhook: 500",
         now);
  auto info = f.webhook_info(now).body;
  CHECK(info.find(R"("pending_update_count":1)") != std::string::npos);
  CHECK(info.find(R"("last_error_date":1700000000)") != std::string::npos);
  CHECK(info.find("Wrong response from the webhook: 500") != std::string::npos);
}
