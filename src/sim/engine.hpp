#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/client.hpp"
#include "http/server.hpp"
#include "net/loop.hpp"
#include "sim/balancer.hpp"
#include "sim/journal.hpp"
#include "sim/simulator.hpp"
#include "telegram/members.hpp"

namespace troupe::sim {

/// What joins the state machines to the sockets. Everything but the marked
/// members is touched on the loop's only thread.
struct simulator::impl {
  explicit impl(sim_options options, std::unique_ptr<event_log> file);
  ~impl();

  result<void> open();
  void begin();

  // simulator.cpp: the heartbeat.
  moment now() const noexcept;
  /// Does everything that is due and sees to it that it is called again.
  void pump();
  void write_due(moment at);
  bool say(const virtual_users::utterance& u, moment at);
  std::optional<update_id> post_text(std::int64_t chat, std::int64_t user,
                                     std::string_view text, moment at);
  void look_for_outages(moment at);
  void advance_phase(moment at);
  void enter(phase next, moment at);
  void finish();
  bool is_quiet() const;
  void schedule(mono_time now);
  void publish(mono_time now);

  // delivery.cpp: updates going out.
  /// One update on its way, to several targets maybe.
  struct parcel {
    http::request request;
    webhook_queues::delivery what;
    std::uint64_t generation = 0;
    mono_time sent{};
  };
  void connect_webhook(moment at);
  void deliver_due(moment at);
  void deliver(const feed::job& job, moment at);
  /// At the next target; an answer that shows it to be down takes it to
  /// another, until `tries` are used up.
  void send_update(const std::shared_ptr<const parcel>& what,
                   std::size_t tries);
  void delivered(std::uint64_t generation, const webhook_queues::delivery& d,
                 mono_time sent,
                 const boost::system::result<http::response, http::failure>& r);
  void run_method_in_response(const http::response& r, moment at);
  void look_for_bot(moment at);
  void begin_poll(const params& with, http::responder to,
                  const call_outcome& met, moment at);
  void answer_poll(const poller::answer& a, moment at);
  void throw_out(const poller::refusal& r);
  void count_confirmed(const update_queue::confirmation& c, mono_time at);

  // routes.cpp: calls coming in.
  void take(http::request&& what, http::responder to);
  void take_call(std::string_view rest, http::request& what,
                 http::responder& to, moment at);
  void answer_call(const method& m, const params& with,
                   const http::responder* to, moment at);
  /// getUpdates: a fault of ours may strike it as any call.
  void poll_method(const method& m, const params& with, http::responder& to,
                   moment at);
  void finish_call(call_outcome& out, const http::responder& to);
  void webhook_method(const method& m, const params& with, http::responder& to,
                      moment at);
  void note(const method& m, const call_outcome& c, mono_time arrived,
            bool by_webhook);
  void reply(http::responder to, api_answer answer, milliseconds delay);

  // side_api.cpp: `/sim/...`.
  api_answer side_call(const http::request& what, moment at);
  api_answer inject(const http::request& what, moment at);
  api_answer inject_text(moment at);
  api_answer inject_press(moment at);
  api_answer set_blocked(bool blocked, moment at);
  api_answer add_fault();
  api_answer show_state(moment at);

  sim_options how;
  mono_time started;
  sim::bot bot;
  sim::feed feed;
  virtual_users users;
  sim::journal journal;
  telegram::members reader;

  struct pending_outage {
    outage when;
    bool begun = false, over = false;
  };
  std::vector<pending_outage> outages;

  phase now_in = phase::serving;
  sim_state counts;
  mono_time phase_since{};
  mono_time last_activity{};
  std::size_t calls_under_way = 0;
  bool bot_seen = false;
  bool probing = false;
  mono_time next_probe{};
  bool closing = false;
  mono_time scheduled = mono_time::max();
  mono_time next_publish{};

  std::uint64_t connected_generation = 0;
  struct held_poll {
    http::responder to;
    milliseconds delay{0};
    bool cut = false;
  };
  std::unordered_map<poller::token, held_poll> held;
  poller::token next_token = 1;

  std::mutex published_mutex;  ///< guards `published`; for any thread
  sim_state published;
  int done_fd = -1;  ///< an eventfd; for any thread
  std::atomic<bool> stopped{false};
  std::uint16_t port = 0;

  // Last, so that they go first: nothing runs into members that are gone.
  net::loop loop{1};
  /// Where the webhook's updates go: its URL, and the load balancer's others.
  struct webhook_target {
    std::shared_ptr<http::client> client;
    std::string path;
  };
  std::vector<webhook_target> webhook_targets;
  balancer balance{0};
  std::unique_ptr<http::server> server;
};

}  // namespace troupe::sim
