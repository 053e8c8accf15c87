#include "sim/ledger.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/ids.hpp"

namespace troupe::sim {

namespace {

constexpr unsigned notes_per_kind = 3;
// The least a client of the Bot API waits for an answer; after a longer delay
// it may repeat the call, whenever its limits let it.
constexpr std::int64_t client_patience = 15'000'000;

std::uint64_t hash_of(std::string_view text) {
  // 0 stands for "not counted".
  return static_cast<std::uint64_t>(stable_hash(text)) | (1ull << 63);
}

std::uint32_t sample(std::int64_t us) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(
      us, 0, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

std::optional<counted_reply> read_counted(std::string_view reply) {
  if (!reply.starts_with("n="))
    return std::nullopt;
  counted_reply out;
  auto last = reply.data() + reply.size();
  auto [end, fault] = std::from_chars(reply.data() + 2, last, out.n);
  std::string_view rest{end, static_cast<std::size_t>(last - end)};
  if (fault != std::errc{} || !rest.starts_with(" text="))
    return std::nullopt;
  out.text = rest.substr(6);
  return out;
}

percentiles percentiles_of(std::vector<std::uint32_t>& samples) {
  percentiles out;
  if (samples.empty())
    return out;
  std::sort(samples.begin(), samples.end());
  // The nearest rank: the smallest sample that q of all do not exceed.
  auto at = [&](std::size_t percent) {
    auto rank = (samples.size() * percent + 99) / 100;
    return samples[std::max<std::size_t>(rank, 1) - 1] / 1000.0;
  };
  out = {at(50), at(95), at(99), samples.back() / 1000.0};
  return out;
}

void ledger::note(std::string_view what, std::int64_t in_chat,
                  std::string_view text) {
  if (noted_[std::string{what}]++ >= notes_per_kind)
    return;
  sums_.findings.push_back(std::string{what} + ": chat " +
                           std::to_string(in_chat) + ", " +
                           std::string{text.substr(0, 100)});
}

void ledger::update(std::int64_t id, std::int64_t chat_id,
                    std::string_view text, std::int64_t at) {
  if (find(id))
    return;
  if (entries_.empty())
    first_update_ = at;
  auto index = static_cast<std::uint32_t>(entries_.size());
  if (!entries_.empty() &&
      id != entries_.front().id + static_cast<std::int64_t>(index))
    odd_ids_[id] = index;
  entry e;
  e.id = id;
  e.at = at;
  if (!text.empty() && text.front() != '/') {
    auto& in = chats_[chat_id];
    in.id = chat_id;
    in.texts.push_back(index);
    e.text = hash_of(text);
    e.place = static_cast<std::uint32_t>(in.texts.size());
    e.refused = at <= in.refused_at;
    if (!in.by_text.empty())
      in.by_text.emplace(e.text, e.place);
    ++sums_.texts;
  }
  entries_.push_back(e);
}

// Ids are consecutive but for jumps, so most are found by their distance.
ledger::entry* ledger::find(std::int64_t id) {
  if (entries_.empty())
    return nullptr;
  auto odd = odd_ids_.find(id);
  if (odd != odd_ids_.end())
    return &entries_[odd->second];
  auto index = id - entries_.front().id;
  if (index < 0 || index >= static_cast<std::int64_t>(entries_.size()))
    return nullptr;
  auto& e = entries_[static_cast<std::size_t>(index)];
  return e.id == id ? &e : nullptr;
}

void ledger::accept(entry& e) {
  if (e.accepted)
    return;
  e.accepted = true;
  ++sums_.accepted;
  if (e.text != 0)
    ++sums_.accepted_texts;
}

void ledger::accepted(std::int64_t id, std::int64_t took) {
  auto e = find(id);
  if (!e)
    return;
  if (e->accepted) {
    ++sums_.redelivered;
    return;
  }
  accept(*e);
  accept_us_.push_back(sample(took));
}

void ledger::confirmed(std::int64_t below) {
  while (confirmed_to_ < entries_.size() && entries_[confirmed_to_].id < below)
    accept(entries_[confirmed_to_++]);
}

// The text at the reply's own count, or else wherever its text stands.
ledger::entry* ledger::match(chat& in, const counted_reply& r) {
  auto hash = hash_of(r.text);
  if (r.n >= 1 && r.n <= in.texts.size()) {
    auto& e = entries_[in.texts[r.n - 1]];
    if (e.text == hash)
      return &e;
  }
  if (in.by_text.empty())
    for (auto index : in.texts)
      in.by_text.emplace(entries_[index].text, entries_[index].place);
  auto it = in.by_text.find(hash);
  return it == in.by_text.end() ? nullptr : &entries_[in.texts[it->second - 1]];
}

// Uses up one excuse of a repeat that arrived at that time: the answer to the
// first call was lost by then, or not there yet.
bool ledger::excused(const entry& e, std::int64_t repeat) {
  auto found = excuses_.find(e.id);
  if (found == excuses_.end())
    return false;
  auto& all = found->second;
  auto fits = std::find_if(all.begin(), all.end(), [&](const excuse& x) {
    if (x.how == answer::lost)
      return repeat >= x.answered;
    return repeat < x.answered || x.answered - x.arrived >= client_patience;
  });
  if (fits == all.end())
    return false;
  all.erase(fits);
  return true;
}

void ledger::reply(const sent& what) {
  auto counted = read_counted(what.text);
  if (!counted)
    return;
  ++counted_;
  auto& in = chats_[what.chat];
  in.id = what.chat;
  auto e = match(in, *counted);
  if (!e) {
    ++sums_.state_errors;
    note("a reply to a text nobody wrote", what.chat, what.text);
    return;
  }
  // A repeat as well: with another count it is another turn of the same text.
  if (e->place != counted->n) {
    ++sums_.state_errors;
    note("counted wrong, should be n=" + std::to_string(e->place), what.chat,
         what.text);
  }
  if (++e->replies > 1) {
    if (excused(*e, what.arrived)) {
      ++sums_.excused_duplicates;
    } else {
      ++sums_.duplicates;
      note("sent twice", what.chat, what.text);
    }
  } else {
    if (e->place < in.highest) {
      ++sums_.order_violations;
      note("out of order", what.chat, what.text);
    }
    in.highest = std::max(in.highest, e->place);
    end_to_end_us_.push_back(sample(what.arrived - e->at));
  }
  if (what.how != answer::given)
    excuses_[e->id].push_back({what.arrived, what.answered, what.how});
}

void ledger::refused(std::int64_t chat_id, std::string_view text,
                     std::int64_t answered) {
  auto& in = chats_[chat_id];
  in.id = chat_id;
  in.refused_at = std::max(in.refused_at, answered);
  auto place = std::max(in.highest, in.refused_to);
  for (; place < in.texts.size(); ++place)
    entries_[in.texts[place]].refused = true;
  in.refused_to = place;
  auto counted = read_counted(text);
  if (!counted)
    return;
  auto e = match(in, *counted);
  if (e && e->place == counted->n)
    return;
  ++sums_.state_errors;
  note("counted wrong", chat_id, text);
}

void ledger::conclude(verdict& into) {
  sums_.updates = entries_.size();
  sums_.undelivered = sums_.updates - sums_.accepted;
  for (auto& [id, in] : chats_) {
    for (auto index : in.texts) {
      auto& e = entries_[index];
      if (!e.accepted || e.replies > 0)
        continue;
      auto update = "update " + std::to_string(e.id);
      if (e.refused) {
        ++sums_.undeliverable;
        continue;
      }
      ++sums_.lost;
      note("accepted but never replied to", id, update);
      if (e.place < in.highest) {
        ++sums_.torn_turns;
        note("later texts were counted on, but its reply is missing", id,
             update);
      }
    }
  }
  into.updates = sums_.updates;
  into.texts = sums_.texts;
  into.accepted = sums_.accepted;
  into.accepted_texts = sums_.accepted_texts;
  into.undelivered = sums_.undelivered;
  into.redelivered = sums_.redelivered;
  into.lost = sums_.lost;
  into.undeliverable = sums_.undeliverable;
  into.order_violations = sums_.order_violations;
  into.state_errors = sums_.state_errors;
  into.torn_turns = sums_.torn_turns;
  into.duplicates = sums_.duplicates;
  into.excused_duplicates = sums_.excused_duplicates;
  into.accept_ms = percentiles_of(accept_us_);
  into.end_to_end_ms = percentiles_of(end_to_end_us_);
  into.findings.insert(into.findings.end(), sums_.findings.begin(),
                       sums_.findings.end());
}

}  // namespace troupe::sim
