#include "actors/campaign_desk.hpp"

#include <atomic>
#include <random>
#include <utility>

#include "actors/hints.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t campaigns_listed = 100;
constexpr milliseconds numbering_look{25};
constexpr unsigned numbering_looks = 200;

void accept_command(const std::shared_ptr<services>& shared,
                    std::int64_t number, update_id id, std::string body,
                    callback<> done) {
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
    if (!got->front().fresh)
      return done(error{errc::conflict, "two commands at once: try again"});
    hint_shards(*shared, *batch, *got);
    done({});
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
              for (std::size_t i = 0; i < numbers.size(); ++i)
                if (auto c = campaign::read(records[i].state))
                  out.push_back(c->page(numbers[i], (*sums)[i], now));
              done(std::move(out));
            });
      });
}

/// Looks for the campaign of that request until it has a number.
void await_number(const std::shared_ptr<services>& shared, std::string request,
                  unsigned looks, callback<std::string> done) {
  std::unique_lock guard{shared->closing};
  if (shared->closed) {
    guard.unlock();
    return done(error{errc::cancelled, "the node stops"});
  }
  list_campaigns(
      shared, campaigns_shown,
      [shared, request = std::move(request), looks,
       done = std::move(done)](result<json::array> found) {
        if (found)
          for (const auto& one : *found)
            if (one.at("request").as_string() == request)
              return done(json::serialize(one));
        if (looks == 0)
          return done(error{errc::timed_out,
                            "accepted, but not begun within 5 s: see the list "
                            "of campaigns before it is started again"});
        shared->loop.after(numbering_look, [shared, request, looks, done] {
          await_number(shared, request, looks - 1, done);
        });
      });
}

}  // namespace

update_id command_id(wall_time now) {
  static std::atomic<std::uint32_t> next{std::random_device{}()};
  constexpr std::int64_t of_a_millisecond = 1'024;
  return {-(to_ms(now) * of_a_millisecond + next++ % of_a_millisecond)};
}

campaign_pace campaign_pace_of(const limit_options& limits) {
  const auto most = limits.bulk_per_second != 0     ? limits.bulk_per_second
                    : limits.global_per_second != 0 ? limits.global_per_second
                                                    : 1'000U;
  return {most};
}

void start_campaign(const std::shared_ptr<services>& shared,
                    const std::string& command, callback<std::string> done) {
  auto parsed = parse_json(command);
  if (!parsed || !parsed->is_object())
    return done(error{errc::bad_input, "the body must be a JSON object"});
  auto& body = parsed->as_object();
  const auto now = shared->how.time->wall();
  if (auto c = campaign::start(body, now, campaign_pace_of(shared->how.limits));
      !c)
    return done(c.error());
  const auto id = command_id(now);
  auto request = std::to_string(-id.value);
  body["do"] = "start";
  body["request"] = request;
  accept_command(shared, 0, id, json::serialize(body),
                 [shared, request = std::move(request),
                  done = std::move(done)](result<> ok) {
                   if (!ok)
                     return done(ok.error());
                   await_number(shared, request, numbering_looks, done);
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
                       [number, what, done](result<> ok) {
                         if (!ok)
                           return done(ok.error());
                         done(json::serialize(
                             json::object{{"id", number}, {"accepted", what}}));
                       });
      });
}

void list_campaigns(const std::shared_ptr<services>& shared, std::size_t most,
                    callback<json::array> done) {
  shared->store.load({chat_key::campaign(0)},
                     [shared, most, done = std::move(done)](
                         result<std::vector<store::chat_record>> of) {
                       if (!of)
                         return done(of.error());
                       std::vector<std::int64_t> numbers;
                       for (auto n = last_campaign(of->front().state);
                            n > 0 && numbers.size() < most; --n)
                         numbers.push_back(n);
                       load_pages(shared, std::move(numbers), done);
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
