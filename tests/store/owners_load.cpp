#include "tests/store/owners_load.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/store/fixture.hpp"

namespace troupe::store::test {

namespace {

constexpr std::size_t chats_each = 2;
constexpr auto patience = std::chrono::seconds{240};

/// A promise was broken; the text says which.
struct broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void hold(bool what, const std::string& promise) {
  if (!what)
    throw broken{promise};
}

/// What a chat's state says of it.
struct tale {
  std::uint64_t updates = 0;  ///< the number of the last one
  std::uint64_t notices = 0, notice_sum = 0;
  std::uint64_t outcomes = 0, outcome_sum = 0;

  static tale from(const std::string& text) {
    tale out;
    std::istringstream in{text};
    in >> out.updates >> out.notices >> out.notice_sum >> out.outcomes >>
        out.outcome_sum;
    return out;
  }
  std::string text() const {
    std::ostringstream out;
    out << updates << ' ' << notices << ' ' << notice_sum << ' ' << outcomes
        << ' ' << outcome_sum;
    return out.str();
  }
};

/// The number in a notice's JSON.
std::uint64_t number_in(const std::string& notice) {
  const auto at = notice.find(R"("text":")");
  hold(at != notice.npos, "a notice as it was sent: " + notice);
  return std::stoull(notice.substr(at + 8));
}

}  // namespace

struct owners_load::owner {
  owner(backend& on, shard_id of) : store{on} {
    for (std::size_t i = 0; i < chats_each; ++i)
      chats.push_back({key_in(of, static_cast<int>(i)), 0, {}, 0});
    held = ask<std::vector<lease>>([&](auto d) {
             store.claim({of}, "owner", lease_time, d);
           }).at(0);
  }

  struct chat {
    chat_key key;
    std::uint64_t accepted = 0;
    tale known;
    std::uint64_t version = 0;
  };

  /// Asks until the outcome is known.
  template <class T, class Call>
  T ask(Call call) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
      auto promise = std::make_shared<std::promise<result<T>>>();
      auto answer = promise->get_future();
      call(callback<T>{
          [promise](result<T> r) { promise->set_value(std::move(r)); }});
      hold(answer.wait_for(patience) == std::future_status::ready,
           "every call is answered");
      auto got = answer.get();
      if (got)
        return std::move(*got);
      const auto code = got.error().code;
      hold(code == errc::unknown_outcome || code == errc::unavailable,
           "nothing but unknown or unavailable: " + to_string(got.error()));
      hold(std::chrono::steady_clock::now() < end,
           "it works again some day: " + to_string(got.error()));
      unknown += code == errc::unknown_outcome ? 1 : 0;
      ++hindered;
      std::this_thread::sleep_for(milliseconds{10});
    }
  }

  /// One write of seven is repeated, as if its answer had been lost.
  bool now_and_then() { return ++writes % 7 == 0; }

  chat& chat_of(chat_key key) {
    const auto it = std::find_if(chats.begin(), chats.end(),
                                 [&](const chat& c) { return c.key == key; });
    hold(it != chats.end(), "entries of our own chats only");
    return *it;
  }

  void accept_some() {
    std::vector<arrival> batch;
    for (auto& c : chats) {
      const auto id = ++last_update + held.shard.value * 10'000'000LL;
      batch.push_back(arriving(id, c.key, std::to_string(++c.accepted)));
    }
    const auto take = [&](auto d) { store.accept(batch, d); };
    ask<std::vector<receipt>>(take);
    if (now_and_then())
      for (const auto& each : ask<std::vector<receipt>>(take))
        hold(!each.fresh, "what was accepted is known");
  }

  void follow() {
    const auto fresh = ask<std::vector<entry>>(
        [&](auto d) { store.backlog(held.shard, last_seq, 100, d); });
    for (const auto& e : fresh) {
      hold(e.seq.value == last_seq.value + 1,
           "no gap: " + std::to_string(e.seq.value) + " after " +
               std::to_string(last_seq.value));
      turn_one(e);
      last_seq = e.seq;
    }
  }

  void turn_one(const entry& e) {
    auto& c = chat_of(e.key);
    const auto before = load(c);
    hold(before.version == c.version, "the version as counted");
    auto next = c.known;
    auto t = turn_of(c.key, c.version, e.seq);
    switch (e.type) {
      case entry_kind::update:
        hold(std::stoull(*e.body) == ++next.updates,
             "updates in order, each once: " + *e.body + " after " +
                 std::to_string(c.known.updates));
        t.calls = {call_of(c.key, make_call_id(held.term, ++last_call),
                           next.updates % 4 == 0 ? "label" : "")};
        if (next.updates % 3 == 0)
          t.notices = {{to->chats.front().key, std::to_string(next.updates)}};
        break;
      case entry_kind::notice:
        ++next.notices;
        next.notice_sum += number_in(*e.body);
        break;
      case entry_kind::outcome:
        ++next.outcomes;
        next.outcome_sum += std::stoull(*e.body);
        break;
      default: hold(false, "entries of a known kind only");
    }
    t.state = next.text();
    commit(t);
    c.known = next;
    ++c.version;
    for (const auto& n : t.notices) {
      ++sent_count;
      sent_sum += std::stoull(n.text);
    }
    for (const auto& call : t.calls)
      settle(call, next.updates);
    turned += e.type == entry_kind::update ? 1 : 0;
  }

  chat_record load(const chat& c) {
    return ask<std::vector<chat_record>>(
               [&](auto d) { store.load({c.key}, d); })
        .at(0);
  }

  // `stale` after an answer was lost: the record tells what became of it.
  void commit(const turn& t) {
    const auto asked = unknown.load();
    const auto put = [&](auto d) { store.commit(held, {t}, d); };
    const auto got = ask<std::vector<turn_receipt>>(put);
    if (got.at(0).outcome == turn_receipt::status::committed) {
      hold(!now_and_then() ||
               ask<std::vector<turn_receipt>>(put).at(0).outcome ==
                   turn_receipt::status::stale,
           "what was committed is stale");
      return;
    }
    hold(unknown != asked, "stale only after an answer was lost");
    const auto now = load(chat_of(t.key));
    hold(now.version == t.version + 1 && now.state == *t.state,
         "what is stale was done");
  }

  void settle(const call& c, std::uint64_t number) {
    auto s = settled(c, call_outcome::sent, 1);
    if (!c.label.empty()) {
      s.event = make_payload(std::to_string(number));
      ++labelled_count;
      labelled_sum += number;
    }
    const auto put = [&](auto d) { store.settle(held, {s}, d); };
    ask<std::vector<std::optional<entry>>>(put);
    if (now_and_then())
      hold(!ask<std::vector<std::optional<entry>>>(put).at(0),
           "what was settled is settled");
  }

  bool all_here() const {
    tale sum;
    for (const auto& c : chats) {
      if (c.known.updates != c.accepted)
        return false;
      sum.notices += c.known.notices;
      sum.outcomes += c.known.outcomes;
    }
    return from->quiet && sum.notices >= from->sent_count &&
           sum.outcomes >= labelled_count;
  }

  void run(const std::atomic<bool>& enough) {
    try {
      while (!enough) {
        accept_some();
        follow();
      }
      follow();
      quiet = true;  // it sends nothing any more
      const auto end = std::chrono::steady_clock::now() + patience;
      while (!all_here()) {
        hold(std::chrono::steady_clock::now() < end,
             "what was sent arrives some day");
        std::this_thread::sleep_for(milliseconds{10});
        follow();
      }
    } catch (const std::exception& e) {
      trouble = e.what();
      quiet = true;
      in_trouble = true;
    }
  }

  // Afterwards, when nobody runs.
  void compare() {
    std::uint64_t appended = labelled_count + from->sent_count;
    tale sum;
    for (const auto& c : chats) {
      const auto r = load(c);
      hold(r.version == c.version && r.state == c.known.text(),
           "the record as it was committed: " + r.state + ", not " +
               c.known.text());
      appended += c.accepted;
      sum.notices += c.known.notices;
      sum.notice_sum += c.known.notice_sum;
      sum.outcomes += c.known.outcomes;
      sum.outcome_sum += c.known.outcome_sum;
    }
    hold(sum.notices == from->sent_count && sum.notice_sum == from->sent_sum,
         "each notice arrived once");
    hold(sum.outcomes == labelled_count && sum.outcome_sum == labelled_sum,
         "each event came once");
    const auto again = ask<std::vector<lease>>(
        [&](auto d) { store.renew({held}, lease_time, d); });
    hold(again.size() == 1, "the lease is still ours");
    hold(again[0].tail.value == appended && last_seq.value == appended,
         "as many entries as were appended: " + std::to_string(appended) +
             ", not " + std::to_string(again[0].tail.value));
    hold(ask<std::vector<entry>>([&](auto d) {
           store.backlog(held.shard, {}, 10, d);
         }).empty(),
         "all entries are acknowledged");
    hold(ask<std::vector<call>>([&](auto d) {
           store.outbox(held.shard, {}, 10, d);
         }).empty(),
         "all calls are settled");
  }

  backend& store;
  lease held;
  std::vector<chat> chats;
  owner* to = nullptr;    ///< gets our notices
  owner* from = nullptr;  ///< sends us its own
  std::int64_t last_update = 0;
  std::uint32_t last_call = 0, writes = 0;
  seq_no last_seq;
  std::uint64_t labelled_count = 0, labelled_sum = 0;
  std::atomic<std::uint64_t> sent_count{0}, sent_sum{0};
  std::atomic<std::size_t> turned{0}, unknown{0}, hindered{0};
  std::atomic<bool> quiet{false}, in_trouble{false};
  std::string trouble;
};

owners_load::owners_load(backend& on, std::vector<shard_id> of) {
  for (const auto s : of)
    owners_.push_back(std::make_unique<owner>(on, s));
  for (std::size_t i = 0; i < owners_.size(); ++i) {
    auto& next = *owners_[(i + 1) % owners_.size()];
    owners_[i]->to = &next;
    next.from = owners_[i].get();
  }
  for (const auto& each : owners_)
    threads_.emplace_back([this, who = each.get()] { who->run(enough_); });
}

owners_load::~owners_load() {
  enough_ = true;
  for (auto& each : threads_)
    each.join();
}

std::size_t owners_load::least() const {
  std::size_t out = owners_.front()->turned;
  for (const auto& each : owners_)
    out = std::min<std::size_t>(out, each->turned);
  return out;
}

bool owners_load::goes_on(std::size_t more) const {
  std::vector<std::size_t> before;
  for (const auto& each : owners_)
    before.push_back(each->turned);
  const auto end = std::chrono::steady_clock::now() + patience;
  for (std::size_t i = 0; i < owners_.size();) {
    if (owners_[i]->in_trouble || std::chrono::steady_clock::now() > end)
      return false;
    if (owners_[i]->turned >= before[i] + more)
      ++i;
    else
      std::this_thread::sleep_for(milliseconds{10});
  }
  return true;
}

std::string owners_load::finish() {
  enough_ = true;
  for (auto& each : threads_)
    each.join();
  threads_.clear();
  std::string out;
  for (const auto& each : owners_) {
    try {
      if (each->trouble.empty())
        each->compare();
    } catch (const std::exception& e) {
      each->trouble = e.what();
    }
    if (!each->trouble.empty())
      out += "shard " + std::to_string(each->held.shard.value) + ": " +
             each->trouble + "\n";
  }
  return out;
}

std::size_t owners_load::unknown() const {
  std::size_t out = 0;
  for (const auto& each : owners_)
    out += each->unknown;
  return out;
}

std::size_t owners_load::hindered() const {
  std::size_t out = 0;
  for (const auto& each : owners_)
    out += each->hindered;
  return out;
}

std::size_t owners_load::turned() const {
  std::size_t out = 0;
  for (const auto& each : owners_)
    out += each->turned;
  return out;
}

}  // namespace troupe::store::test
