#include "store/postgres_sql.hpp"

#include <array>
#include <cstddef>

namespace troupe::store::postgres {

namespace {

// The server's time in ms: of leases, which several nodes judge.
#define TROUPE_SERVER_MS "(extract(epoch FROM clock_timestamp()) * 1000)::int8"

constexpr std::size_t all = static_cast<std::size_t>(sql::count);

// In the order of the enumeration. Locks are taken shard by shard, ascending,
// owners before tails: so two nodes never wait for each other there. Of owners'
// rows commits share a lock that renewals and releases do not mind; only a
// claim must have the row alone, and leaves it if it has not.
constexpr std::array<statement, all> statements{{
    {"", "BEGIN"},
    {"", "COMMIT"},
    {"", "ROLLBACK"},
    {"nnn",  // mark
     "INSERT INTO writers AS w VALUES($1, $2, $3) ON CONFLICT (id) "
     "DO UPDATE SET groups = excluded.groups, at = excluded.at"},
    {"n", "SELECT groups FROM writers WHERE id = $1 FOR UPDATE"},
    {"", "SELECT " TROUPE_SERVER_MS},
    {"N",
     "SELECT shard, term, till, node FROM owners WHERE shard = ANY($1) "
     "ORDER BY shard FOR KEY SHARE"},
    {"N",
     "SELECT shard, term, till, node FROM owners WHERE shard = ANY($1) "
     "ORDER BY shard FOR NO KEY UPDATE"},
    {"N",
     "SELECT shard, term, till, node FROM owners WHERE shard = ANY($1) "
     "ORDER BY shard FOR UPDATE SKIP LOCKED"},
    {"N",
     "SELECT shard, tail FROM tails WHERE shard = ANY($1) "
     "ORDER BY shard FOR UPDATE"},
    {"N", "SELECT shard, tail FROM tails WHERE shard = ANY($1)"},
    {"NN",
     "SELECT s.shard, s.block, s.touched, s.ids FROM unnest($1, $2) "
     "AS k(shard, block) JOIN seen s ON s.shard = k.shard "
     "AND s.block = k.block"},
    {"NN",
     "SELECT j.shard, j.seq, j.kt, j.kid FROM unnest($1, $2) AS k(shard, seq) "
     "JOIN journal j ON j.shard = k.shard AND j.seq = k.seq"},
    {"NN",
     "SELECT j.shard, j.seq, j.kt, j.kid FROM unnest($1, $2) AS k(shard, seq) "
     "JOIN journal j ON j.shard = k.shard AND j.seq = k.seq FOR UPDATE OF j"},
    {"NN",
     "SELECT c.kt, c.kid, c.version, c.labels FROM unnest($1, $2) "
     "AS k(kt, kid) JOIN chats c ON c.kt = k.kt AND c.kid = k.kid"},
    {"NN",
     "SELECT o.shard, o.id FROM unnest($1, $2) AS k(shard, id) "
     "JOIN outbox o ON o.shard = k.shard AND o.id = k.id"},
    {"NNB",
     "SELECT t.kt, t.kid, t.name, t.due, t.body FROM unnest($1, $2, $3) "
     "AS k(kt, kid, name) JOIN timers t ON t.kt = k.kt AND t.kid = k.kid "
     "AND t.name = k.name"},
    {"NNB",
     "SELECT t.kt, t.kid, t.name, t.due, t.body FROM unnest($1, $2, $3) "
     "AS k(kt, kid, name) JOIN timers t ON t.kt = k.kt AND t.kid = k.kid "
     "AND t.name = k.name FOR UPDATE OF t"},
    {"N",
     "SELECT id, shard, type, kt, kid, uid, accepted, died, error, body "
     "FROM dead WHERE id = ANY($1) ORDER BY id FOR UPDATE"},
    // Then their tags, by a statement of its own: it sees what they were
    // locked for.
    {"NN",
     "SELECT a.kt, a.kid FROM unnest($1, $2) AS k(kt, kid) "
     "JOIN audience a ON a.kt = k.kt AND a.kid = k.kid "
     "ORDER BY a.kt, a.kid FOR UPDATE OF a"},
    {"NN",
     "SELECT t.kt, t.kid, t.tags FROM unnest($1, $2) AS k(kt, kid) "
     "JOIN tags t ON t.kt = k.kt AND t.kid = k.kid"},
    // By key, shard and the last sequence meant.
    {"NNNN",
     "SELECT k.kt, k.kid, "
     "(SELECT count(*) FROM chats c WHERE c.kt = k.kt AND c.kid = k.kid), "
     "(SELECT count(*) FROM journal j WHERE j.shard = k.shard "
     "AND j.seq <= k.seq AND j.kt = k.kt AND j.kid = k.kid), "
     "(SELECT count(*) FROM outbox o WHERE o.shard = k.shard "
     "AND o.kt = k.kt AND o.kid = k.kid), "
     "(SELECT count(*) FROM timers t WHERE t.kt = k.kt AND t.kid = k.kid), "
     "(SELECT count(*) FROM dead d WHERE d.kt = k.kt AND d.kid = k.kid), "
     "(SELECT count(*) FROM audience a WHERE a.kt = k.kt AND a.kid = k.kid), "
     "(SELECT tags FROM tags t WHERE t.kt = k.kt AND t.kid = k.kid) "
     "FROM unnest($1, $2, $3, $4) AS k(kt, kid, shard, seq)"},
    {"NNN",
     "SELECT o.shard, o.id FROM unnest($1, $2, $3) AS k(kt, kid, shard) "
     "JOIN outbox o ON o.shard = k.shard AND o.kt = k.kt AND o.kid = k.kid"},

    {"NNNB",  // put_owners
     "UPDATE owners o SET term = k.term, till = k.till, node = k.node "
     "FROM unnest($1, $2, $3, $4) AS k(shard, term, till, node) "
     "WHERE o.shard = k.shard"},
    {"NN",
     "UPDATE tails t SET tail = k.tail FROM unnest($1, $2) AS k(shard, tail) "
     "WHERE t.shard = k.shard"},
    {"NNNB",
     "INSERT INTO seen SELECT * FROM unnest($1, $2, $3, $4) "
     "ON CONFLICT (shard, block) DO UPDATE SET touched = excluded.touched, "
     "ids = excluded.ids"},
    {"NNNNNNNB",
     "INSERT INTO journal SELECT * FROM "
     "unnest($1, $2, $3, $4, $5, $6, $7, $8)"},
    {"NNNB",
     "INSERT INTO dead SELECT nextval('deaths') * 65536 + j.shard, j.shard, "
     "j.type, j.kt, j.kid, j.uid, j.at, k.died, k.error, j.body "
     "FROM unnest($1, $2, $3, $4) WITH ORDINALITY "
     "AS k(shard, seq, died, error, nth) JOIN journal j "
     "ON j.shard = k.shard AND j.seq = k.seq ORDER BY k.nth"},
    {"NN",
     "DELETE FROM journal j USING unnest($1, $2) AS k(shard, seq) "
     "WHERE j.shard = k.shard AND j.seq = k.seq"},
    {"NNNNBBBB",
     "INSERT INTO chats AS c SELECT * FROM "
     "unnest($1, $2, $3, $4, $5, $6, $7, $8) "
     "ON CONFLICT (kt, kid) DO UPDATE SET version = excluded.version, "
     "expires = coalesce(excluded.expires, c.expires), "
     "mode = coalesce(excluded.mode, c.mode), "
     "memo = coalesce(excluded.memo, c.memo), "
     "labels = coalesce(excluded.labels, c.labels), "
     "state = coalesce(excluded.state, c.state)"},
    {"NNNNNNNNBBBB",
     "INSERT INTO outbox SELECT * FROM "
     "unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"},
    {"NN",
     "UPDATE outbox o SET flags = o.flags | 8 FROM unnest($1, $2) "
     "AS k(shard, id) WHERE o.shard = k.shard AND o.id = k.id"},
    {"NN",
     "DELETE FROM outbox o USING unnest($1, $2) AS k(shard, id) "
     "WHERE o.shard = k.shard AND o.id = k.id"},
    {"NNBNNB",
     "INSERT INTO timers SELECT * FROM unnest($1, $2, $3, $4, $5, $6) "
     "ON CONFLICT (kt, kid, name) DO UPDATE SET due = excluded.due, "
     "body = excluded.body"},
    {"NNB",
     "DELETE FROM timers t USING unnest($1, $2, $3) AS k(kt, kid, name) "
     "WHERE t.kt = k.kt AND t.kid = k.kid AND t.name = k.name"},
    {"NNNBN",
     "INSERT INTO audience AS a SELECT kt, kid, status, language, at, at "
     "FROM unnest($1, $2, $3, $4, $5) AS k(kt, kid, status, language, at) "
     "ON CONFLICT (kt, kid) DO UPDATE SET status = excluded.status, "
     "last_seen = excluded.last_seen, language = CASE "
     "WHEN length(excluded.language) > 0 THEN excluded.language "
     "ELSE a.language END"},
    {"NNNBN",
     "INSERT INTO audience SELECT kt, kid, status, language, at, at "
     "FROM unnest($1, $2, $3, $4, $5) AS k(kt, kid, status, language, at) "
     "ON CONFLICT DO NOTHING"},
    {"NNB",
     "INSERT INTO tags SELECT * FROM unnest($1, $2, $3) "
     "ON CONFLICT (kt, kid) DO UPDATE SET tags = excluded.tags"},
    {"NN",
     "DELETE FROM tags t USING unnest($1, $2) AS k(kt, kid) "
     "WHERE t.kt = k.kt AND t.kid = k.kid"},
    {"NNNN",
     "DELETE FROM journal j USING unnest($1, $2, $3, $4) "
     "AS k(kt, kid, shard, seq) WHERE j.shard = k.shard AND j.seq <= k.seq "
     "AND j.kt = k.kt AND j.kid = k.kid"},
    {"NNN",
     "DELETE FROM outbox o USING unnest($1, $2, $3) AS k(kt, kid, shard) "
     "WHERE o.shard = k.shard AND o.kt = k.kt AND o.kid = k.kid"},
    {"NN",
     "DELETE FROM timers t USING unnest($1, $2) AS k(kt, kid) "
     "WHERE t.kt = k.kt AND t.kid = k.kid"},
    {"NN",
     "DELETE FROM dead d USING unnest($1, $2) AS k(kt, kid) "
     "WHERE d.kt = k.kt AND d.kid = k.kid"},
    {"NN",
     "DELETE FROM audience a USING unnest($1, $2) AS k(kt, kid) "
     "WHERE a.kt = k.kt AND a.kid = k.kid"},
    {"NN",
     "DELETE FROM chats c USING unnest($1, $2) AS k(kt, kid) "
     "WHERE c.kt = k.kt AND c.kid = k.kid"},
    {"NNNN",
     "INSERT INTO spending AS s SELECT * FROM unnest($1, $2, $3, $4) "
     "ON CONFLICT (at, kt, kid) DO UPDATE "
     "SET messages = s.messages + excluded.messages"},
    {"NNNNNN",
     "INSERT INTO tallies AS t SELECT * FROM unnest($1, $2, $3, $4, $5, $6) "
     "ON CONFLICT (campaign, shard) DO UPDATE SET "
     "sent = t.sent + excluded.sent, failed = t.failed + excluded.failed, "
     "blocked = t.blocked + excluded.blocked, "
     "unknown = t.unknown + excluded.unknown"},
    {"NNNNNNNBB",
     "INSERT INTO dead SELECT nextval('deaths') * 65536 + k.shard, k.* "
     "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) "
     "AS k(shard, type, kt, kid, uid, accepted, died, error, body)"},
    {"N", "DELETE FROM dead WHERE id = ANY($1)"},
    // Whoever gives a name up leaves the row, so that tokens go on growing.
    {"bbn",  // acquire: name, holder, ttl
     "INSERT INTO names AS n VALUES($1, " TROUPE_SERVER_MS " + $3, "
     "nextval('tokens'), $2) ON CONFLICT (name) DO UPDATE SET "
     "till = excluded.till, holder = excluded.holder, token = CASE "
     "WHEN n.holder = excluded.holder THEN n.token "
     "ELSE greatest(n.token + 1, excluded.token) END "
     "WHERE n.holder = excluded.holder OR n.till <= " TROUPE_SERVER_MS
     " RETURNING token"},
    {"bb", "UPDATE names SET till = " TROUPE_SERVER_MS ", holder = '' "
           "WHERE name = $1 AND holder = $2"},

    {"nnn",  // backlog
     "SELECT seq, type, kt, kid, uid, at, body FROM journal "
     "WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3"},
    {"nN",
     "SELECT seq, type, kt, kid, uid, at, body FROM journal "
     "WHERE shard = $1 AND seq = ANY($2) ORDER BY seq"},
    {"NN",
     "SELECT k.nth, c.version, coalesce(c.expires, 0), c.mode, c.memo, "
     "c.labels, c.state FROM unnest($1, $2) WITH ORDINALITY "
     "AS k(kt, kid, nth) JOIN chats c ON c.kt = k.kt AND c.kid = k.kid"},
    {"nnn",
     "SELECT id, kt, kid, to_kt, to_kid, flags, at, method, label, target, "
     "body FROM outbox WHERE shard = $1 AND id > $2 ORDER BY id LIMIT $3"},
    {"nN",
     "SELECT id, kt, kid, to_kt, to_kid, flags, at, method, label, target, "
     "body FROM outbox WHERE shard = $1 AND id = ANY($2) ORDER BY id"},
    {"n",
     "SELECT at, kt, kid, messages FROM spending WHERE at >= $1 ORDER BY at"},
    {"Nnn",  // due: shards, now, limit
     "SELECT t.kt, t.kid, t.name, t.due, t.body FROM unnest($1) AS s(shard), "
     "LATERAL (SELECT kt, kid, name, due, body FROM timers "
     "WHERE shard = s.shard AND due <= $2 ORDER BY due, kt, kid, name "
     "LIMIT $3) t ORDER BY t.due, t.kt, t.kid, t.name LIMIT $3"},
    {"Nn",
     "SELECT min(t.due) FROM unnest($1) AS s(shard), LATERAL "
     "(SELECT due FROM timers WHERE shard = s.shard AND due > $2 "
     "ORDER BY due LIMIT 1) t"},
    {"nn",
     "SELECT name, due, body FROM timers WHERE kt = $1 AND kid = $2 "
     "ORDER BY name"},
    {"nn",
     "SELECT id, shard, type, kt, kid, uid, accepted, died, error, body "
     "FROM dead WHERE id > $1 ORDER BY id LIMIT $2"},
    {"nnn",
     "SELECT a.kt, a.kid, a.status, a.language, a.first_seen, a.last_seen, "
     "t.tags FROM audience a LEFT JOIN tags t ON t.kt = a.kt "
     "AND t.kid = a.kid WHERE (a.kt, a.kid) > ($1, $2) "
     "ORDER BY a.kt, a.kid LIMIT $3"},
    {"N",
     "SELECT k.nth, sum(t.sent)::int8, sum(t.failed)::int8, "
     "sum(t.blocked)::int8, sum(t.unknown)::int8 FROM unnest($1) "
     "WITH ORDINALITY AS k(campaign, nth) JOIN tallies t "
     "ON t.campaign = k.campaign GROUP BY k.nth"},
    // Exact up to a bound, then what the last ANALYZE knew: counting a million
    // rows every few seconds is work for nothing.
    {"n",
     "SELECT CASE WHEN c.n < $1 THEN c.n ELSE greatest(c.n, "
     "(SELECT reltuples::int8 FROM pg_class WHERE oid = c.of)) END, "
     "pg_total_relation_size(c.of) FROM (VALUES "
     "((SELECT count(*) FROM (SELECT FROM journal LIMIT $1) x), "
     "'journal'::regclass), "
     "((SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) x), "
     "'outbox'::regclass), "
     "((SELECT count(*) FROM (SELECT FROM timers LIMIT $1) x), "
     "'timers'::regclass), "
     "((SELECT count(*) FROM (SELECT FROM chats LIMIT $1) x), "
     "'chats'::regclass), "
     "((SELECT count(*) FROM (SELECT FROM dead LIMIT $1) x), "
     "'dead'::regclass), "
     "(0, 'seen'::regclass), (0, 'audience'::regclass)) AS c(n, of)"},
    {"bbbn",  // heartbeat: name, address, details, ttl
     "INSERT INTO nodes VALUES($1, " TROUPE_SERVER_MS " + $4, $2, $3) "
     "ON CONFLICT (name) DO UPDATE SET till = excluded.till, "
     "address = excluded.address, details = excluded.details"},
    {"b",
     "SELECT name, address, details FROM nodes "
     "WHERE till > " TROUPE_SERVER_MS " OR name = $1 ORDER BY name"},
    {"b", "DELETE FROM nodes WHERE name = $1"},

    // A page after (shard, block), without those touched before: the last row
    // of it, and how many there were.
    {"nnnn",
     "WITH page AS (SELECT shard, block, touched FROM seen "
     "WHERE (shard, block) > ($1, $2) ORDER BY shard, block LIMIT $3), "
     "gone AS (DELETE FROM seen s USING page p WHERE p.touched < $4 "
     "AND s.shard = p.shard AND s.block = p.block AND s.touched < $4) "
     "SELECT shard, block, count(*) OVER () FROM page "
     "ORDER BY shard DESC, block DESC LIMIT 1"},
    {"NNn",
     "UPDATE chats c SET expires = NULL, mode = NULL, memo = NULL, "
     "state = NULL FROM unnest($1, $2) AS k(kt, kid) WHERE c.kt = k.kt "
     "AND c.kid = k.kid AND c.expires > 0 AND c.expires <= $3"},
    {"NNn",
     "DELETE FROM chats c USING unnest($1, $2) AS k(kt, kid) "
     "WHERE c.kt = k.kt AND c.kid = k.kid AND c.expires > 0 "
     "AND c.expires <= $3"},
    {"nnn",
     "SELECT kt, kid, coalesce(expires, 0) FROM chats "
     "WHERE (kt, kid) > ($1, $2) ORDER BY kt, kid LIMIT $3"},
    {"n", "DELETE FROM spending WHERE at < $1"},
    {"nn",
     "DELETE FROM names WHERE name IN (SELECT name FROM names "
     "WHERE till < " TROUPE_SERVER_MS " - $1 ORDER BY till LIMIT $2 "
     "FOR UPDATE SKIP LOCKED)"},
    {"n", "DELETE FROM nodes WHERE till < " TROUPE_SERVER_MS " - $1"},
    {"n", "DELETE FROM writers WHERE at < $1"},
    // Connections of this store's nodes, by the lock that each has, of our own
    // role, which is all that one may end: whose client has said nothing for so
    // long in a transaction.
    {"n",  // end_silent: ms
     "SELECT count(pg_terminate_backend(a.pid)) FROM pg_locks l "
     "JOIN pg_stat_activity a ON a.pid = l.pid "
     "WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted "
     "AND l.classid = hashtext('troupe')::oid "
     "AND l.objid = hashtext(current_schema())::oid "
     "AND a.datname = current_database() AND a.usename = current_user "
     "AND a.pid <> pg_backend_pid() AND a.wait_event_type = 'Client' "
     "AND a.xact_start < clock_timestamp() - make_interval(secs => $1 / 1e3)"},
}};

#undef TROUPE_SERVER_MS

}  // namespace

const statement& text_of(sql which) {
  return statements[static_cast<std::size_t>(which)];
}

}  // namespace troupe::store::postgres
