#include "tests/store/fixture.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

// What the store keeps of who uses the bot.

namespace {

using texts = std::vector<std::string>;

const chat_key key = chat_key::chat(42);

/// A turn about the next update of a chat.
class chat_turns {
 public:
  chat_turns(sync_store& s, chat_key of)
      : store_{s}, key_{of}, held_{s.claim_one(shard_of_key(of))} {}

  turn next() {
    return turn_of(key_, version_++, accept_one(store_, ++last_update(), key_));
  }
  turn_receipt commit(turn t) {
    auto r = store_.commit(held_, {std::move(t)}).value();
    REQUIRE(r.at(0).outcome == turn_receipt::status::committed);
    return r[0];
  }
  turn_receipt commit(audience_change a) {
    auto t = next();
    t.audience = {std::move(a)};
    return commit(std::move(t));
  }
  const lease& held() const { return held_; }

 private:
  static std::int64_t& last_update() {
    static std::int64_t n = 0;
    return n;
  }
  sync_store& store_;
  chat_key key_;
  lease held_;
  std::uint64_t version_ = 0;
};

audience_change tags(chat_key of, texts add, texts remove = {},
                     bool seen = false) {
  audience_change a;
  a.key = of;
  a.seen = seen;
  a.tag = std::move(add);
  a.untag = std::move(remove);
  return a;
}

audience_change sight(chat_key of, audience_status how, std::string language) {
  audience_change a;
  a.key = of;
  a.status = how;
  a.language = std::move(language);
  return a;
}

std::optional<member> member_of(sync_store& s, chat_key of) {
  for (auto& m : s.audience().value())
    if (m.key == of)
      return m;
  return std::nullopt;
}

}  // namespace

TEST_CASE("tags are kept with a chat's turn, and change nothing else",
          "[contract]") {
  TROUPE_EACH_STORE();
  const auto first = fixture.time.wall();
  {
    chat_turns chat{s, key};
    chat.commit(sight(key, audience_status::blocked, "de"));
    fixture.time.advance(milliseconds{500});
    CHECK(chat.commit(tags(key, {"beta", "a"})).tags_over == 0);
    chat.commit(tags(key, {"beta"}));  // once more
    chat.commit(tags(key, {"z=1"}, {"a", "unknown"}));
  }
  fixture.reopen();
  const auto m = member_of(*fixture, key);
  REQUIRE(m);
  CHECK(m->tags == texts{"beta", "z=1"});
  CHECK(m->status == audience_status::blocked);
  CHECK(m->language == "de");
  CHECK(m->first_seen == first);
  CHECK(m->last_seen == first);
}

TEST_CASE("a sight keeps the tags, and may bring some", "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  chat.commit(tags(key, {"beta"}, {}, true));
  chat.commit(sight(key, audience_status::active, "en"));
  CHECK(member_of(s, key)->tags == texts{"beta"});
  CHECK(member_of(s, key)->language == "en");
  chat.commit(tags(key, {}, {"beta"}, true));
  CHECK(member_of(s, key)->tags.empty());
}

TEST_CASE("who is tagged becomes a member", "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  chat.commit(tags(key, {"beta"}));
  const auto m = member_of(s, key);
  REQUIRE(m);
  CHECK(m->status == audience_status::active);
  CHECK(m->first_seen == fixture.time.wall());
  CHECK(m->tags == texts{"beta"});
}

TEST_CASE("several turns of one commit change tags in their order",
          "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  auto one = chat.next();
  one.audience = {tags(key, {"a", "b"})};
  auto two = chat.next();
  two.audience = {tags(key, {"c"}, {"a"})};
  REQUIRE(s.commit(chat.held(), {one, two}).has_value());
  CHECK(member_of(s, key)->tags == texts{"b", "c"});
}

TEST_CASE("a chat keeps sixteen tags, and says how many had no room",
          "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  texts many;
  for (char c = 'a'; c < 'a' + 15; ++c)
    many.emplace_back(1, c);
  CHECK(chat.commit(tags(key, many)).tags_over == 0);
  CHECK(chat.commit(tags(key, {"x", "y", "a", "z"})).tags_over == 2);
  many.emplace_back("x");
  CHECK(member_of(s, key)->tags == many);
  // Room is made first.
  CHECK(chat.commit(tags(key, {"y"}, {"a"})).tags_over == 0);
  CHECK(member_of(s, key)->tags.size() == most_tags);
  CHECK(s.tag({key}, "full", true).value() == 0);
  CHECK(member_of(s, key)->tags.size() == most_tags);
}

TEST_CASE("a stale turn tags nobody", "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  auto t = chat.next();
  t.audience = {tags(key, {"beta"})};
  chat.commit(t);
  chat.commit(tags(key, {}, {"beta"}));
  const auto again = s.commit(chat.held(), {t}).value();
  CHECK(again.at(0).outcome == turn_receipt::status::stale);
  CHECK(member_of(s, key)->tags.empty());
}

TEST_CASE("what is no tag, and another chat's, is refused", "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  auto t = chat.next();
  auto refused = [&](audience_change a) {
    t.audience = {std::move(a)};
    auto r = s.commit(chat.held(), {t});
    return !r && r.error().code == errc::bad_input;
  };
  CHECK(refused(tags(key, {"two words"})));
  CHECK(refused(tags(key, {"a,b"})));
  CHECK(refused(tags(key, {""})));
  CHECK(refused(tags(key, {std::string(longest_tag + 1, 'x')})));
  CHECK(refused(tags(key, {}, {"caf\xc3\xa9"})));
  CHECK(refused(tags(chat_key::chat(43), {"beta"})));
  CHECK_FALSE(s.tag({key}, "two words", true).has_value());
  t.audience = {tags(key, {std::string(longest_tag, 'x')})};
  chat.commit(t);
}

TEST_CASE("an operator tags members, without a lease", "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  std::vector<chat_key> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(chat_key::chat(i % 2 == 0 ? 100 + i : -100 - i));
    chat.commit(sight(all.back(), audience_status::active, ""));
  }
  const auto stranger = chat_key::chat(7);
  all.push_back(stranger);
  CHECK(s.tag(all, "beta", true).value() == 4);
  CHECK(s.tag(all, "beta", true).value() == 0);
  CHECK(s.tag({all[1], all[3]}, "beta", false).value() == 2);
  CHECK(s.tag({all[1], all[3]}, "beta", false).value() == 0);
  CHECK(s.tag({}, "beta", true).value() == 0);
  fixture.reopen();
  auto& later = *fixture;
  CHECK(member_of(later, all[0])->tags == texts{"beta"});
  CHECK(member_of(later, all[1])->tags.empty());
  CHECK(member_of(later, all[2])->tags == texts{"beta"});
  CHECK_FALSE(member_of(later, stranger));
  // Page by page, too.
  std::size_t tagged = 0;
  std::optional<chat_key> after;
  for (;;) {
    const auto page = later.audience(after, 1).value();
    if (page.empty())
      break;
    after = page[0].key;
    tagged += page[0].tags.size();
  }
  CHECK(tagged == 2);
}

TEST_CASE("a member's sight takes no tag that an operator gave meanwhile",
          "[contract]") {
  TROUPE_EACH_STORE();
  chat_turns chat{s, key};
  chat.commit(sight(key, audience_status::active, "de"));
  auto t = chat.next();
  t.audience = {tags(key, {"own"}, {}, true)};
  REQUIRE(s.tag({key}, "given", true).value() == 1);
  chat.commit(t);
  CHECK(member_of(s, key)->tags == texts{"given", "own"});
}
