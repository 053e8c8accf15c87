#include "store/postgres_link.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <initializer_list>
#include <utility>

#include "core/log.hpp"

namespace troupe::store::postgres {

namespace {

using steady = std::chrono::steady_clock;

std::string name_of(sql which) {
  return "s" + std::to_string(static_cast<int>(which));
}

// libpq's messages end in a newline, and may have several lines.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '\n' || c == '\t' ? ' ' : c;
  while (!out.empty() && out.back() == ' ')
    out.pop_back();
  return log::redact(out);
}

errc meaning(std::string_view state) {
  const auto kind = state.substr(0, 2);
  // Too little of something, an operator's act, a limit, a read-only standby,
  // an aborted or missing transaction, a right that is missing.
  for (const std::string_view later :
       {"53", "57", "58", "08", "40", "55", "25", "28"})
    if (kind == later)
      return errc::unavailable;
  if (state == "42501")
    return errc::unavailable;
  // Damage, or tables that are not ours.
  if (kind == "XX" || kind == "42")
    return errc::corrupt;
  return errc::internal;
}

std::string_view state_of(const PGresult* r) {
  const char* state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view{} : std::string_view{state};
}

refusal refused(const PGresult* r) {
  const auto state = state_of(r);
  const char* said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  refusal out;
  out.why = {meaning(state), "PostgreSQL: " + one_line(said ? said : "") +
                                 " (" + std::string{state} + ")"};
  out.state = state;
  out.again = state == "40001" || state == "40P01";
  return out;
}

bool one_of(std::string_view state,
            std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](auto b) { return state.starts_with(b); });
}

/// A node that falls silent inside a pipeline is not idle for the server: so
/// its end, if its machine is gone, must show in the connection itself.
std::string keepalives(const link_options& how) {
  const auto every =
      std::to_string(std::max<std::int64_t>(1, how.patience.count() / 4'000));
  return "; SET tcp_keepalives_idle = " + every +
         "; SET tcp_keepalives_interval = " + every +
         "; SET tcp_keepalives_count = 2";
}

std::string session(const std::string& schema, const link_options& how) {
  const auto statement = std::to_string(how.patience.count() * 3 / 4);
  const auto silent = std::to_string(how.patience.count() / 2);
  const auto locked = std::to_string(how.patience.count() / 5);
  // Plans by key, whatever the planner thinks of tables that it has not yet
  // looked at; the same for as long as the connection lives.
  return "SET search_path = \"" + schema +
         "\"; SET statement_timeout = " + statement +
         "; SET lock_timeout = " + locked +
         "; SET idle_in_transaction_session_timeout = " + silent +
         "; SET tcp_user_timeout = " + silent + keepalives(how) +
         "; SET default_transaction_isolation = 'read committed'"
         "; SET plan_cache_mode = force_generic_plan; SET jit = off"
         "; SET enable_seqscan = off; SET enable_hashjoin = off"
         "; SET enable_mergejoin = off; SET client_min_messages = error"
         // By which the nodes of a store know each other's connections.
         "; SELECT pg_advisory_lock_shared(hashtext('troupe'), hashtext('" +
         schema + "'))";
}

}  // namespace

bool refusal::of_server() const noexcept {
  // Connections, resources, an operator's act, the system, a standby.
  return one_of(state, {"08", "53", "57P", "58", "25006"});
}

bool refusal::of_statement() const noexcept {
  return !again && !state.empty() && !of_server() &&
         !one_of(state, {"25", "28"});
}

/// An exchange on its way.
struct link::work {
  const std::vector<request>& asked;
  std::vector<answer> answers;
  std::size_t syncs = 0;  // still to come
};

std::optional<link_options> options_of(const std::string& url) {
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed{
      PQconninfoParse(url.c_str(), &why), PQconninfoFree};
  PQfreemem(why);  // repeats parts of the URL
  if (!parsed)
    return std::nullopt;
  link_options out;
  for (const auto* o = parsed.get(); o->keyword != nullptr; ++o) {
    if (std::string_view{o->keyword} != "connect_timeout" || o->val == nullptr)
      continue;
    const std::string_view text = o->val;
    int seconds = 0;
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (seconds > 0 && seconds <= 600)
      out.patience = std::chrono::seconds{seconds};
  }
  return out;
}

result<std::unique_ptr<link>> link::open(const std::string& url,
                                         const link_options& how) {
  const auto limit = std::to_string(
      std::chrono::ceil<std::chrono::seconds>(how.patience).count());
  const auto silence = std::to_string(how.patience.count());
  // What stands before `dbname` gives way to what the URL says.
  const std::array<const char*, 8> names{"connect_timeout",
                                         "tcp_user_timeout",
                                         "target_session_attrs",
                                         "keepalives_idle",
                                         "fallback_application_name",
                                         "client_encoding",
                                         "dbname",
                                         nullptr};
  const std::array<const char*, 8> values{
      limit.c_str(), silence.c_str(), "read-write", "10",
      "troupe",      "UTF8",          url.c_str(),  nullptr};
  auto* c = PQconnectdbParams(names.data(), values.data(), 1);
  if (c == nullptr)
    return error{errc::unavailable, "no memory for a connection"};
  std::unique_ptr<link> out{new link{c, how.patience}};
  PQsetNoticeProcessor(
      c, [](void*, const char*) {}, nullptr);
  if (PQstatus(c) != CONNECTION_OK)
    return error{errc::unavailable, one_line(PQerrorMessage(c))};
  return out;
}

result<table> link::tell(const std::string& text) {
  if (broken_)
    return *broken_;
  if (PQsendQuery(of_.get(), text.c_str()) != 1)
    give_up(PQerrorMessage(of_.get()));
  table last;
  std::optional<refusal> failed;
  const auto end = steady::now() + patience_;
  bool writing = true;
  while (!broken_) {
    if (!writing && PQisBusy(of_.get()) == 0) {
      auto* r = PQgetResult(of_.get());
      if (r == nullptr)
        break;
      if (PQresultStatus(r) == PGRES_FATAL_ERROR)
        failed = refused(r);
      last = table{r};
      continue;
    }
    if (!wait(end, writing))
      break;
  }
  if (failed)
    return failed->why;
  if (broken_)
    return *broken_;
  return last;
}

result<> link::enter(const std::string& schema, const link_options& how) {
  const auto before = tell("SHOW search_path");
  if (!before)
    return before.error();
  path_ = before->rows() > 0 ? before->text(0, 0) : std::string{};
  if (auto set = tell(session(schema, how)); !set)
    return set.error();
  if (PQsetnonblocking(of_.get(), 1) != 0 ||
      PQenterPipelineMode(of_.get()) != 1) {
    give_up(PQerrorMessage(of_.get()));
    return *broken_;
  }
  std::vector<request> all;
  for (int i = 0; i < static_cast<int>(sql::count); ++i)
    all.emplace_back(static_cast<sql>(i));
  for (const auto& r : all) {
    const auto& s = text_of(r.what());
    std::vector<Oid> types;
    for (const char* t = s.types; *t != 0; ++t)
      types.push_back(*t == 'n'   ? 20
                      : *t == 'b' ? 17
                      : *t == 'N' ? 1016
                                  : 1001);
    if (PQsendPrepare(of_.get(), name_of(r.what()).c_str(), s.text,
                      static_cast<int>(types.size()), types.data()) != 1)
      give_up(PQerrorMessage(of_.get()));
  }
  work w{all, {}, 1};
  if (!broken_ && PQpipelineSync(of_.get()) != 1)
    give_up(PQerrorMessage(of_.get()));
  collect(w);
  for (const auto& a : w.answers)
    if (a.failed)
      return a.failed->why;
  if (broken_)
    return *broken_;
  return {};
}

bool link::send(const request& r) {
  std::vector<const char*> values;
  std::vector<int> sizes;
  for (std::size_t i = 0; i < r.params().size(); ++i) {
    const auto& p = r.params()[i];
    values.push_back(r.null(i) ? nullptr : p.c_str());
    sizes.push_back(static_cast<int>(p.size()));
  }
  if (r.what() == sql::author)
    return PQsendQueryParams(of_.get(), r.text().c_str(),
                             static_cast<int>(values.size()), nullptr,
                             values.data(), nullptr, nullptr, 0) == 1 &&
           (!r.sync || PQpipelineSync(of_.get()) == 1);
  const std::vector<int> binary(values.size(), 1);
  return PQsendQueryPrepared(of_.get(), name_of(r.what()).c_str(),
                             static_cast<int>(values.size()), values.data(),
                             sizes.data(), binary.data(), 1) == 1 &&
         (!r.sync || PQpipelineSync(of_.get()) == 1);
}

std::vector<link::answer> link::exchange(std::vector<request> all) {
  // Thrown out of (no memory): nobody knows what is still to come on it.
  if (std::exchange(exchanging_, true))
    give_up("an exchange was cut short");
  if (all.empty() || broken_) {
    exchanging_ = false;
    return {};
  }
  all.back().sync = true;
  work w{all, {}, 0};
  for (const auto& r : all) {
    if (!send(r)) {
      give_up(PQerrorMessage(of_.get()));
      break;
    }
    w.syncs += r.sync ? 1 : 0;
  }
  collect(w);
  exchanging_ = false;
  return std::move(w.answers);
}

// One statement's results end with a null; a sync is a result by itself.
void link::collect(work& w) {
  const auto end = steady::now() + patience_;
  bool writing = true;
  std::optional<answer> open;
  while (!broken_ && w.syncs > 0) {
    if (PQisBusy(of_.get()) != 0) {
      wait(end, writing);
      continue;
    }
    auto* r = PQgetResult(of_.get());
    if (r == nullptr) {
      if (open)
        w.answers.push_back(std::move(*open));
      else if (PQstatus(of_.get()) != CONNECTION_OK)
        give_up(PQerrorMessage(of_.get()));
      open.reset();
      continue;
    }
    table rows{r};
    switch (PQresultStatus(r)) {
      case PGRES_PIPELINE_SYNC: --w.syncs; break;
      case PGRES_PIPELINE_ABORTED:
        open = answer{
            {},
            refusal{{errc::unavailable, "not done: what it followed failed"},
                    "",
                    false}};
        break;
      case PGRES_FATAL_ERROR:
        // Without a state it is libpq that speaks, of the connection.
        if (state_of(r).empty() || PQstatus(of_.get()) != CONNECTION_OK)
          give_up(PQresultErrorMessage(r));
        open = answer{{}, refused(r)};
        break;
      default: open = answer{std::move(rows), std::nullopt};
    }
  }
}

// Until something was read or written; false if the connection is of no use.
bool link::wait(steady::time_point end, bool& writing) {
  if (writing) {
    const int left = PQflush(of_.get());
    if (left < 0) {
      give_up(PQerrorMessage(of_.get()));
      return false;
    }
    writing = left > 0;
  }
  const auto left =
      std::chrono::ceil<milliseconds>(end - steady::now()).count();
  pollfd on{PQsocket(of_.get()),
            static_cast<short>(POLLIN | (writing ? POLLOUT : 0)), 0};
  const int n = left <= 0 ? 0 : ::poll(&on, 1, static_cast<int>(left));
  if (n < 0 && errno == EINTR)
    return true;
  if (n <= 0) {
    give_up("PostgreSQL did not answer in time");
    return false;
  }
  if ((on.revents & ~POLLOUT) != 0 && PQconsumeInput(of_.get()) != 1) {
    give_up(PQerrorMessage(of_.get()));
    return false;
  }
  return true;
}

void link::give_up(std::string why) {
  if (!broken_)
    broken_ = error{errc::unavailable, one_line(why)};
}

}  // namespace troupe::store::postgres
