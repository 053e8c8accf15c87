#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "http/server_connection.hpp"

namespace troupe::http {

/// What all copies of a responder share. It never keeps a connection alive:
/// it may outlive the server and, on another thread, even the loop.
struct responder::exchange {
  enum class state { waiting, starting, streaming, ended };

  std::shared_ptr<net::lane> on;
  std::weak_ptr<server_connection> to;
  std::uint64_t serial;
  std::atomic<state> now{state::waiting};
  std::shared_ptr<stream_flow> flow;

  exchange(std::shared_ptr<net::lane> where,
           std::weak_ptr<server_connection> conn, std::uint64_t number)
      : on{std::move(where)}, to{std::move(conn)}, serial{number} {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;
  ~exchange();
};

}  // namespace troupe::http
