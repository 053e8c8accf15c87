#include "actors/campaign_desk.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "actors/campaign_json.hpp"
#include "actors/campaign_register.hpp"
#include "actors/hints.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t campaigns_listed = 100;
/// How long a start waits for its number, in looks ever further apart: 5.7 s.
constexpr milliseconds first_look{25};
constexpr milliseconds last_look{800};
constexpr unsigned most_looks = 11;

/// Says whether it is new: false if that id was accepted before.
void accept_command(const std::shared_ptr<services>& shared,
                    std::int64_t number, update_id id, std::string body,
                    callback<bool> done) {
  if (shared->draining)
    return done(error{errc::unavailable, "the node stops"});
  auto batch = std::make_shared<std::vector<store::arrival>>();
  batch->push_back({id, chat_key::campaign(number),
                    store::make_payload(std::move(body)),
                    shared->how.time->wall()});
  shared->store.accept(*batch, [shared, batch, done = std::move(done)](
                                   result<std::vector<store::receipt>> got) {
    if (!got)
      return done(got.error());
    if (got->front().fresh)
      hint_shards(*shared, *batch, *got);
    done(got->front().fresh);
  });
}

void load_pages(const std::shared_ptr<services>& shared,
                std::vector<std::int64_t> numbers, callback<json::array> done) {
  if (numbers.empty())
    return done(json::array{});
  std::vector<chat_key> keys;
  std::vector<std::uint64_t> tallies;
  for (const auto n : numbers) {
    keys.push_back(chat_key::campaign(n));
    tallies.push_back(static_cast<std::uint64_t>(n));
  }
  shared->store.load(
      std::move(keys), [shared, numbers = std::move(numbers),
                        tallies = std::move(tallies), done = std::move(done)](
                           result<std::vector<store::chat_record>> records) {
        if (!records)
          return done(records.error());
        shared->store.tallies(
            tallies, [shared, numbers, records = std::move(*records),
                      done](result<std::vector<store::campaign_tally>> sums) {
              if (!sums)
                return done(sums.error());
              json::array out;
              const auto now = shared->how.time->wall();
              for (std::size_t i = 0; i < numbers.size(); ++i) {
                auto c = campaign::read(records[i].state);
                if (!c)
                  continue;
                auto page = c->page(numbers[i], (*sums)[i], now);
                shared->campaigns->put(numbers[i], page);
                out.push_back(std::move(page));
              }
              done(std::move(out));
            });
      });
}

void read_register(const std::shared_ptr<services>& shared,
                   callback<campaign_register> done) {
  shared->store.load(
      {chat_key::campaign(0)},
      [done = std::move(done)](result<std::vector<store::chat_record>> of) {
        if (!of)
          return done(of.error());
        done(campaign_register::read(of->front().state));
      });
}

/// One start command on its way to a number, and to its first page.
struct starting {
  std::shared_ptr<services> shared;
  std::string request;
  std::int64_t digest = 0;
  callback<std::string> done;
  unsigned looks = 0;
};

error not_begun(const starting& what, const std::string& why) {
  return {errc::timed_out,
          "request " + what.request + ": " + why +
              "; asked again with this request, it begins no second campaign"};
}

void await_number(std::shared_ptr<starting> what);

void look_again(std::shared_ptr<starting> what) {
  if (what->looks == most_looks)
    return what->done(not_begun(*what,
                                "accepted, but not begun yet: it begins by "
                                "itself"));
  const auto wait = std::min(first_look * (1 << what->looks++), last_look);
  auto& loop = what->shared->loop;
  loop.after(wait, [what = std::move(what)] { await_number(what); });
}

/// The number is there: the campaign may still have to read its command.
void show_begun(const std::shared_ptr<starting>& what,
                const campaign_register::known& known) {
  if (known.digest != what->digest)
    return what->done(
        error{errc::conflict, "request " + what->request + " began campaign " +
                                  std::to_string(known.number) +
                                  ", which is another: take another request"});
  show_campaigns(what->shared, known.number, [what](result<std::string> page) {
    if (page || page.error().code != errc::not_found)
      return what->done(std::move(page));
    look_again(what);
  });
}

void await_number(std::shared_ptr<starting> what) {
  const auto& shared = *what->shared;
  std::unique_lock guard{what->shared->closing};
  if (shared.closed) {
    guard.unlock();
    return what->done(not_begun(*what, "accepted, but the node stops"));
  }
  read_register(what->shared, [what](result<campaign_register> of) {
    const auto* known = of ? of->find(what->request) : nullptr;
    if (known)
      show_begun(what, *known);
    else
      look_again(what);
  });
}

std::string new_request() {
  std::random_device random;
  std::string out;
  for (int i = 0; i < 16; ++i)
    out += "0123456789abcdef"[random() % 16];
  return out;
}

}  // namespace

update_id command_id(wall_time now) {
  static std::atomic<std::uint32_t> next{std::random_device{}()};
  constexpr std::int64_t of_a_millisecond = 1'024;
  return {-(to_ms(now) * of_a_millisecond + next++ % of_a_millisecond)};
}

campaign_pace campaign_pace_of(const services& in) {
  const unsigned bulk = in.bulk_per_second;
  const unsigned all = in.global_per_second;
  return {bulk != 0 ? bulk : all != 0 ? all : 1'000U};
}

void start_campaign(const std::shared_ptr<services>& shared,
                    const std::string& command, callback<std::string> done) {
  auto parsed = parse_json(command);
  if (!parsed || !parsed->is_object())
    return done(error{errc::bad_input, "the body must be a JSON object"});
  auto& body = parsed->as_object();
  if (!body.contains("request"))
    body["request"] = new_request();
  if (auto c = campaign::start(body, shared->how.time->wall(),
                               campaign_pace_of(*shared));
      !c)
    return done(c.error());
  auto what = std::make_shared<starting>();
  what->shared = shared;
  what->request = member_text(body, "request");
  what->digest = campaign_digest(body);
  what->done = std::move(done);
  body["do"] = "start";
  read_register(shared, [what, text = json::serialize(body)](
                            result<campaign_register> of) {
    if (!of)
      return what->done(of.error());
    if (const auto* known = of->find(what->request))
      return show_begun(what, *known);
    accept_command(what->shared, 0, campaign_start_id(what->request), text,
                   [what](result<bool> fresh) {
                     if (fresh)
                       return await_number(what);
                     if (fresh.error().code != errc::unknown_outcome)
                       return what->done(fresh.error());
                     what->done(not_begun(*what,
                                          "the store did not say whether it "
                                          "took it: it may have begun"));
                   });
  });
}

void steer_campaign(const std::shared_ptr<services>& shared,
                    std::int64_t number, const std::string& what,
                    callback<std::string> done) {
  if (what != "pause" && what != "resume" && what != "cancel")
    return done(error{errc::bad_input, "say pause, resume or cancel"});
  if (number < 1)
    return done(error{errc::not_found, "no such campaign"});
  show_campaigns(
      shared, number,
      [shared, number, what, done = std::move(done)](result<std::string> page) {
        if (!page)
          return done(page.error());
        accept_command(shared, number, command_id(shared->how.time->wall()),
                       json::serialize(json::object{{"do", what}}),
                       [number, what, done](result<bool> fresh) {
                         if (!fresh)
                           return done(fresh.error());
                         if (!*fresh)
                           return done(error{errc::conflict,
                                             "two commands at once: try "
                                             "again"});
                         done(json::serialize(
                             json::object{{"id", number}, {"accepted", what}}));
                       });
      });
}

void list_campaigns(const std::shared_ptr<services>& shared, std::size_t most,
                    callback<json::array> done) {
  read_register(shared, [shared, most,
                         done = std::move(done)](result<campaign_register> of) {
    if (!of)
      return done(of.error());
    std::map<std::int64_t, json::object, std::greater<>> all;
    std::vector<std::int64_t> unknown;
    for (auto n = of->last(), end = n - std::int64_t(most); n > 0 && n > end;
         --n) {
      if (auto page = shared->campaigns->find(n))
        all.emplace(n, std::move(*page));
      else
        unknown.push_back(n);
    }
    load_pages(shared, std::move(unknown),
               [all = std::move(all), done](result<json::array> rest) mutable {
                 if (!rest)
                   return done(rest.error());
                 for (auto& page : *rest)
                   all.emplace(number_said(page.as_object(), "id"),
                               std::move(page.as_object()));
                 json::array out;
                 for (auto& [number, page] : all)
                   out.push_back(std::move(page));
                 done(std::move(out));
               });
  });
}

void show_campaigns(const std::shared_ptr<services>& shared,
                    std::int64_t number, callback<std::string> done) {
  if (number == 0)
    return list_campaigns(
        shared, campaigns_listed,
        [done = std::move(done)](result<json::array> all) {
          if (!all)
            return done(all.error());
          done(json::serialize(json::object{{"campaigns", std::move(*all)}}));
        });
  load_pages(shared, {number},
             [done = std::move(done)](result<json::array> found) {
               if (!found)
                 return done(found.error());
               if (found->empty())
                 return done(error{errc::not_found, "no such campaign"});
               done(json::serialize(found->front()));
             });
}

}  // namespace troupe::actors
