# For the benches of whole programs: the simulated Telegram, a bot at its
# webhook, and what they used; a Redis or a PostgreSQL of our own. Sourced, not
# run. Sets `dir`.

name=$(basename "$0")
say() { printf '%s: %s\n' "$name" "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }

bin=${TROUPE_BENCH_BIN:-$PWD/build/release/bin}
token=123456:SIMULATED-token-of-troupe-sim-00
secret=bench-secret
sim='' bot='' redis='' postgres='' dir='' bot_port='' stats_port='' api_root=''
declare -a bots=() # all that run; `bot` is the one started last

# Ends one process of ours: politely, then for sure.
end() {
  local pid=$1
  [ -n "$pid" ] || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  for _ in {1..300}; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

end_bots() {
  local pid
  for pid in ${bots[@]+"${bots[@]}"}; do end "$pid"; done
  bots=() bot=''
}

cleanup() {
  local code=$?
  trap '' INT TERM HUP
  end_bots
  end "$sim"
  end "$redis"
  end "$postgres"
  [ -z "$dir" ] || rm -rf "$dir"
  exit "$code"
}

# What makes a program: only the bench preset has those that are for benches.
maker() {
  case $1 in
    */poison_bot) echo 'tools/build bench poison_bot' ;;
    *) echo './demo --build' ;;
  esac
}

begin_bench() {
  local program
  for program in "$@"; do
    [ -x "$program" ] || die "$program is missing; $(maker "$program") builds it"
  done
  for program in jq curl awk setpriv; do
    command -v "$program" >/dev/null || die "$program is missing"
  done
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  dir=$(mktemp -d "${TMPDIR:-/tmp}/troupe-bench.XXXXXX")
  say "load of the machine: $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores," \
    "store on $(df --output=source,fstype "$dir" | tail -n 1)"
}

# Below the ports of outgoing connections; see tests/system/process.hpp.
free_port() {
  local port hex
  for _ in {1..200}; do
    port=$((15000 + RANDOM % 17000))
    hex=$(printf ':%04X' "$port")
    if ! awk -v p="$hex" '$2 ~ p "$" { found = 1 } END { exit !found }' \
      /proc/net/tcp /proc/net/tcp6 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  return 1
}

leashed() { exec setpriv --pdeathsig KILL "$@"; }
http() { curl --silent --show-error --fail --max-time 10 "$@"; }

# A new log and a new store, at addresses of their own.
new_run() {
  rm -rf "$dir/run"
  mkdir "$dir/run"
  bot_port=$(free_port) stats_port=$(free_port)
}

# start_sim FLAG...
start_sim() {
  new_run
  run_sim 127.0.0.1:0 "$@"
}

# run_sim HOST:PORT FLAG...: its users begin as soon as the bot listens.
run_sim() {
  local listen=$1
  shift
  (
    cd "$dir/run"
    leashed "$bin/troupe" sim --listen "$listen" --log "$dir/run/sim.jsonl" \
      --token "$token" --webhook "http://127.0.0.1:$bot_port/webhook" \
      --webhook-secret "$secret" --stay "$@"
  ) >"$dir/run/sim.out" 2>"$dir/run/sim.err" </dev/null &
  sim=$!
  for _ in {1..100}; do
    api_root=$(jq -r 'select(.listening) | "http://" + .listening' \
      "$dir/run/sim.out" 2>/dev/null | head -n 1)
    [ -z "$api_root" ] || return 0
    kill -0 "$sim" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 3 "$dir/run/sim.err" >&2
  die 'the simulator did not start'
}

# start_bot PROGRAM [NAME=VALUE...]
start_bot() {
  local program=$1
  shift
  (
    cd "$dir/run"
    export TROUPE_BOT_TOKEN=$token TROUPE_BOT_API_ROOT=$api_root
    export TROUPE_WEBHOOK_SECRET=$secret TROUPE_LOG_LEVEL=warn
    export TROUPE_WEBHOOK_LISTEN=127.0.0.1:$bot_port
    export TROUPE_STATS_LISTEN=127.0.0.1:$stats_port
    export TROUPE_STORE_URL=sqlite:$dir/run/troupe.db
    export TROUPE_LIMITS_GLOBAL_PER_SECOND=0 TROUPE_LIMITS_CHAT_PER_SECOND=0
    export TROUPE_LIMITS_GROUP_PER_MINUTE=0
    unset TROUPE_CONFIG
    leashed env "$@" "$program" run
  ) >>"$dir/run/bot.out" 2>>"$dir/run/bot.err" </dev/null &
  bot=$!
  bots+=("$bot")
  for _ in {1..300}; do
    kill -0 "$bot" 2>/dev/null || break
    ! http "http://127.0.0.1:$stats_port/readyz" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  tail -n 3 "$dir/run/bot.err" >&2
  die 'the bot did not start'
}

no_limits=(--global-per-second 0 --chat-per-second 0 --group-per-minute 0)

phase() { http "$api_root/sim/state" | jq -r .phase; }

check_bots() {
  local pid
  for pid in "${bots[@]}"; do
    kill -0 "$pid" 2>/dev/null ||
      { tail -n 3 "$dir/run/bot.err" >&2; die 'a bot ended by itself'; }
  done
}

check_alive() {
  check_bots
  kill -0 "$sim" 2>/dev/null ||
    { tail -n 3 "$dir/run/sim.err" >&2; die 'the simulator ended by itself'; }
}

# wait_settled SECONDS [PLAY_SECONDS]: until the users are done and have their
# answers. Asks seldom, and not before the play can be over: a curl and a jq
# five times a second doubled the p99 that they were to help measure.
wait_settled() {
  local until=$((SECONDS + $1)) now
  sleep "${2:-0}"
  while now=$(phase) && [ "$now" != settled ]; do
    check_alive
    [ "$now" != unsettled ] || die 'not everything was answered'
    [ "$SECONDS" -lt "$until" ] || die "still $now after $1 s"
    sleep 1
  done
  # What ends the play is written within a moment.
  for _ in {1..50}; do
    ! grep -q '"e":"settled"' "$dir/run/sim.jsonl" || return 0
    sleep 0.1
  done
}

# CPU seconds that a process has used, user and system.
cpu_of() {
  local fields
  fields=$(sed 's/.*) //' "/proc/$1/stat")
  awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($12 + $13) / hz }' \
    <<<"$fields"
}

rss_of() { awk '/^VmRSS:/ { print $2 * 1024 }' "/proc/$1/status"; }

stats() { http "http://127.0.0.1:$stats_port/stats"; }

end_both() {
  end_bots
  end "$sim"
  sim=''
}

need_redis() {
  local program
  for program in redis-server redis-cli; do
    command -v "$program" >/dev/null || die "$program is missing"
  done
}

ask() { redis-cli -h 127.0.0.1 -p "$redis_port" "$@"; }

# start_redis FLAG...: append-only file, fsync every second.
start_redis() {
  redis_port=$(free_port)
  rm -rf "$dir/redis"
  mkdir "$dir/redis"
  # From its own configuration only: no file.
  leashed redis-server --bind 127.0.0.1 --port "$redis_port" --save '' \
    --dir "$dir/redis" --appendonly yes --appendfsync everysec "$@" \
    >"$dir/redis.out" 2>&1 </dev/null &
  redis=$!
  for _ in {1..100}; do
    [ "$(ask PING 2>/dev/null)" != PONG ] || return 0
    kill -0 "$redis" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 3 "$dir/redis.out" >&2
  die 'redis-server did not start'
}

end_redis() {
  end "$redis"
  redis=''
}

# As the package's user if we are root: it refuses to run as root. With the
# server's defaults: fsync, synchronous_commit.
start_postgres() {
  local as=()
  postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null |
    sort -V | tail -n 1)
  [ -n "$postgres_bin" ] || die 'postgresql is missing'
  postgres_port=$(free_port)
  mkdir "$dir/postgres"
  if [ "$(id -u)" = 0 ]; then
    chmod 711 "$dir"
    chown postgres: "$dir/postgres"
    as=(--reuid postgres --regid postgres --clear-groups)
  fi
  (cd "$dir/postgres" && leashed "${as[@]}" "$postgres_bin/initdb" --auth trust \
    --username troupe --pgdata "$dir/postgres/data") >"$dir/postgres.out" 2>&1 \
    </dev/null || { tail -n 3 "$dir/postgres.out" >&2; die 'initdb failed'; }
  (cd "$dir/postgres" && leashed "${as[@]}" "$postgres_bin/postgres" \
    -p "$postgres_port" -D "$dir/postgres/data" -k "$dir/postgres" \
    -h 127.0.0.1) >>"$dir/postgres.out" 2>&1 </dev/null &
  postgres=$!
  for _ in {1..300}; do
    ! "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port" || return 0
    kill -0 "$postgres" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 3 "$dir/postgres.out" >&2
  die 'postgres did not start'
}

# new_database: an empty one, so that no update was seen before; its URL.
new_database() {
  databases=$((${databases:-0} + 1))
  "$postgres_bin/psql" -q -h 127.0.0.1 -p "$postgres_port" -U troupe \
    -d postgres -c "CREATE DATABASE play$databases" >&2
  postgres_url=postgresql://troupe@127.0.0.1:$postgres_port/play$databases
}

# CPU seconds of a process with all its children, those that ended too.
cpu_of_all() {
  local pid total=0 hz
  hz=$(getconf CLK_TCK)
  total=$(sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 + $14 + $15 }')
  for pid in $(cat "/proc/$1/task/$1/children"); do
    total=$((total + $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null |
      awk '{ n = $12 + $13 } END { print n + 0 }')))
  done
  awk -v t="$total" -v hz="$hz" 'BEGIN { printf "%.2f", t / hz }'
}

# What Redis counted since its start, as one JSON object. CPU in microseconds:
# in scripts (wall time), of all threads, of the one that runs commands.
counted() {
  ask INFO everything | tr -d '\r' | jq -c -R -s '
    [split("\n")[] | capture("^(?<key>[a-z_|]+):(?<value>.*)$")?] as $all |
    def plain($key): [$all[] | select(.key == $key).value | tonumber][0];
    def sum($key; $of): [$all[] | select(.key | test($key)).value |
      capture("(^|,)" + $of + "=(?<n>[0-9]+)").n | tonumber] | add // 0;
    {scripts: sum("^cmdstat_eval(sha)?$"; "calls"),
     commands: sum("^cmdstat_"; "calls"),
     in: plain("total_net_input_bytes"), out: plain("total_net_output_bytes"),
     script_us: sum("^cmdstat_eval(sha)?$"; "usec"),
     cpu_us: ((plain("used_cpu_user") + plain("used_cpu_sys")) * 1e6),
     main_us: ((plain("used_cpu_user_main_thread") +
       plain("used_cpu_sys_main_thread")) * 1e6)}'
}

verify() { "$bin/troupe" sim verify "$dir/run/sim.jsonl" --json "$@" || true; }

# median FILTER < one JSON object per line
median() {
  jq -s "[.[] | $1] | sort | if length % 2 == 1 then .[length / 2 | floor]
    else (.[length / 2 - 1] + .[length / 2]) / 2 end"
}
