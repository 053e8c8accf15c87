// The dashboard: puts what the node says into the page. Everything is text;
// nothing that comes from a chat is ever read as markup.

import { chart } from "./charts.js";
import { follow, known_token, remember_token, try_now } from "./feed.js";
import * as letters from "./letters.js";

const by_id = (id) => document.getElementById(id);
const element = letters.element;

function put(id, text) {
  const at = by_id(id);
  // Only what changes: a reader's selection survives the second.
  if (at.textContent !== text) at.textContent = text;
}

// -- numbers ------------------------------------------------------------------

function count(n) {
  if (n === undefined || n === null) return "–";
  if (n >= 1e6) return (n / 1e6).toFixed(2) + " M";
  if (n >= 1e5) return Math.round(n / 1e3) + " k";
  return Number.isInteger(n) ? String(n) : n.toFixed(n < 10 ? 1 : 0);
}

function ms(n) {
  if (n === undefined || n === null) return "–";
  if (n >= 10000) return (n / 1000).toFixed(0) + " s";
  if (n >= 1000) return (n / 1000).toFixed(1) + " s";
  return n >= 10 || n === 0 ? n.toFixed(0) + " ms" : n.toFixed(1) + " ms";
}

function span(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  const s = Math.floor(seconds);
  if (s < 60) return s + " s";
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400)
    return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

function bytes(n) {
  if (!n) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; ++i) n /= 1024;
  return (n < 10 && i ? n.toFixed(1) : n.toFixed(0)) + " " + units[i];
}

// -- tables -------------------------------------------------------------------

// Rows of cells into a table's body; a cell is text or an element.
function fill(id, rows, numeric_from) {
  const body = by_id(id);
  body.replaceChildren(...rows.map((cells) => {
    const row = element("tr");
    cells.forEach((cell, i) => {
      const td = element("td", undefined, i >= numeric_from ? "n" : "");
      td.append(cell);
      row.append(td);
    });
    return row;
  }));
}

const classes = [
  ["telegram_429", "Telegram 429 (too many)", "answers_429"],
  ["telegram_5xx", "Telegram 5xx", "answers_5xx"],
  ["network", "network", "network_failures"],
  ["refused", "refused (400)", "answers_refused"],
  ["chat_gone", "chat gone (403)", "answers_gone"],
  ["unknown", "outcome unknown", "unknown_outcomes"],
  ["handler", "handler threw", "turns_threw"],
  ["handler_late", "handler late", "turns_late"],
  ["store", "store", "store_errors"],
  ["pushed_back", "pushed back (503)", ""],
  ["dead_letters", "dead letters", "dead_letters"],
];

function show_errors(s) {
  const recent = s.recent.errors, totals = s.totals;
  fill("errors", classes.map(([key, name, total]) => {
    const now = element("span", count(recent[key]), recent[key] ? "bad" : "");
    return [name, now, count(total ? totals[total]
      : totals.refused_overload + totals.refused_store)];
  }), 1);
}

function show_limit(s) {
  const limit = s.global_limit;
  by_id("limit").hidden = !limit;
  by_id("limit-none").hidden = Boolean(limit);
  if (limit) {
    by_id("budget").max = limit.limit || 1;
    by_id("budget").value = limit.used;
    let text = `${limit.used} of ${limit.limit}`;
    if (limit.slices_of)
      text += `; this node has ${limit.slices} of ${limit.slices_of} slices`;
    put("budget-text", text);
    put("frozen", limit.frozen_ms > 0 ? "for " + ms(limit.frozen_ms) : "no");
    put("limit-waiting", count(limit.waiting));
    put("factor", Math.round(limit.factor * 100) + " %");
  }
  put("freezes", count(s.totals.global_freezes));
}

function show_store(s) {
  const of = s.recent.latency;
  fill("store-latency", [["accept", of.accept], ["commit", of.commit]].map(
    ([name, l]) => [name, ms(l.p50_ms), ms(l.p95_ms), ms(l.p99_ms)]), 1);
  const store = s.store || {};
  put("chats", count(store.chats));
  put("timers", count(store.timers));
  put("bytes", bytes(store.bytes));
  put("free", bytes(store.free_bytes));
}

function show_tiles(s) {
  const recent = s.recent, reply = recent.latency.reply;
  put("turns", count(recent.turns_per_s));
  put("accepted", count(recent.accepted_per_s));
  put("calls", count(recent.calls_per_s));
  for (const p of ["p50", "p95", "p99"])
    put(p, reply.count ? ms(reply[p + "_ms"]) : "–");
  put("journal", count(depth(s)));
  put("outbox", count(s.depth.outbox));
  put("flying", count(s.depth.in_flight));
  put("dead", count(s.store && s.store.dead_letters));
}

function depth(s) { return s.depth.to_turn + s.depth.parked + s.depth.unread; }

// -- shards and nodes ---------------------------------------------------------

function owners(s) {
  if (s.cluster) {
    const nodes = s.cluster.nodes.map((n) => ({ name: n.name, state: n.state,
      turns: n.counters.turns, heard: n.word_age_ms, up: n.uptime_s }));
    const of = new Array(s.cluster.shards.total).fill("");
    for (const one of s.cluster.shards.owned) of[one.shard] = one.node;
    return { nodes, of, twice: new Set(s.cluster.shards.claimed_twice) };
  }
  const of = s.shards.map((one) => one.owner);
  const state = s.draining ? "draining" : "serving";
  return { nodes: [{ name: s.node, state, turns: s.totals.turns_done,
    heard: 0, up: s.uptime_s }], of: of.map((o) => o && s.node),
    twice: new Set() };
}

function ranges(numbers) {
  const out = [];
  for (let i = 0; i < numbers.length;) {
    let end = i;
    while (numbers[end + 1] === numbers[end] + 1) ++end;
    out.push(end > i ? `${numbers[i]}–${numbers[end]}` : String(numbers[i]));
    i = end + 1;
  }
  return out.join(" ");
}

function letter_of(i) { return String.fromCharCode(65 + i % 26); }

let drawn = "";

function show_shards(s) {
  const { nodes, of, twice } = owners(s);
  const place = new Map(nodes.map((n, i) => [n.name, i]));
  const held = nodes.map(() => []);
  const unowned = [];
  of.forEach((owner, shard) => {
    if (place.has(owner)) held[place.get(owner)].push(shard);
    else unowned.push(shard);
  });
  fill("nodes", nodes.map((n, i) => {
    const name = element("span");
    name.append(element("span", letter_of(i), `shard mark o${i % 8}`), n.name);
    const which = element("span", ranges(held[i]));
    return [name, element("span", n.state, n.state === "serving" ? "" : "warn"),
      String(held[i].length), count(n.turns), ms(n.heard), span(n.up), which];
  }), 2);
  for (const row of by_id("nodes").rows) row.lastChild.className = "ranges";
  const map = JSON.stringify([of, [...twice], nodes.map((n) => n.name)]);
  if (map === drawn) return unowned;
  drawn = map;
  by_id("shards").replaceChildren(...of.map((owner, shard) => {
    const i = place.has(owner) ? place.get(owner) : -1;
    const cell = element("span", i < 0 ? "!" : letter_of(i),
      i < 0 || twice.has(shard) ? "shard none" : `shard o${i % 8}`);
    cell.title = `shard ${shard}: ${owner || "nobody"}`;
    return cell;
  }));
  by_id("shards").setAttribute("aria-label", nodes.map((n, i) =>
    `${n.name} has ${held[i].length}`).join(", ") +
    ` of ${of.length} shards; ${unowned.length} are nobody's`);
  return unowned;
}

function show_busiest(s) {
  fill("busiest", s.busiest.slice(0, 10).map((one) =>
    [one.chat, count(one.waiting), count(one.turns)]), 1);
}

function show_campaigns(s) {
  const all = s.campaigns || [];
  by_id("campaigns").hidden = all.length === 0;
  fill("campaign-rows", all.map((one) => {
    const done = one.sent + one.failed + one.blocked + one.unknown;
    const bar = element("progress");
    bar.max = one.total || 1;
    bar.value = done;
    bar.setAttribute("aria-label", `${done} of ${one.total}`);
    const progress = element("span");
    progress.append(bar, ` ${count(done)} of ${count(one.total)}`);
    return [one.name || String(one.id), one.state, progress, count(one.sent),
      count(one.failed), count(one.unknown), count(one.rate) + "/s",
      span(one.eta_s)];
  }), 3);
}

// -- what is wrong ------------------------------------------------------------

// The rules of the alerts, but for "for five minutes": who looks here wants to
// know now.
function alarms_of(s, unowned) {
  const out = [];
  if (s.draining) out.push(["warn", "This node is draining."]);
  else if (!s.ready)
    out.push(["bad", "Not ready: the store fails, or leases are lost."]);
  if (depth(s) > 1000)
    out.push(["bad", `${count(depth(s))} updates wait for their turn.`]);
  const reply = s.recent.latency.reply;
  if (reply.p95_ms > 5000)
    out.push(["bad", `Replies take ${ms(reply.p95_ms)} (p95).`]);
  if (s.global_limit && s.global_limit.frozen_ms > 0)
    out.push(["bad", `Telegram froze the whole bot for another ` +
      `${ms(s.global_limit.frozen_ms)}.`]);
  if (unowned.length)
    out.push(["bad", "Owned by no node: shards " + ranges(unowned)]);
  if (s.cluster && s.cluster.shards.claimed_twice.length)
    out.push(["bad", "Shards are claimed twice: " +
      ranges(s.cluster.shards.claimed_twice)]);
  if (s.store && s.store.dead_letters)
    out.push(["warn", s.store.dead_letters === 1 ? "One dead letter."
      : `${s.store.dead_letters} dead letters.`]);
  if (s.unanswered)
    out.push(["warn", `${s.unanswered} parts of the node did not answer.`]);
  return out;
}

let alarmed = "";

// A region that is read aloud must not be rewritten with the same words.
function show_alarms(list) {
  const now = JSON.stringify(list);
  if (now === alarmed) return;
  alarmed = now;
  by_id("alarms").replaceChildren(
    ...list.map(([how, text]) => element("p", text, how)));
}

// -- the whole ----------------------------------------------------------------

const charts = [
  new chart(by_id("charts"), "Turns per second", [
    { name: "turns", key: "turns_per_s", mark: 0 },
    { name: "accepted", key: "accepted_per_s", mark: 1 },
    { name: "calls", key: "calls_per_s", mark: 2 }], count),
  new chart(by_id("charts"), "From acceptance to reply", [
    { name: "p50", key: "reply_p50_ms", mark: 0 },
    { name: "p95", key: "reply_p95_ms", mark: 1 },
    { name: "p99", key: "reply_p99_ms", mark: 2 }], ms),
  new chart(by_id("charts"), "Depth", [
    { name: "journal", key: "journal", mark: 0 },
    { name: "outbox", key: "outbox", mark: 1 }], count),
  new chart(by_id("charts"), "Errors in 5 s", [
    { name: "429", key: "telegram_429", mark: 4 },
    { name: "5xx", key: "telegram_5xx", mark: 1 },
    { name: "network", key: "network", mark: 6 },
    { name: "refused", key: "refused", mark: 7 },
    { name: "handler", key: "handler", mark: 2 },
    { name: "store", key: "store", mark: 3 }], count),
  new chart(by_id("charts"), "Pushed back or given up in 5 s", [
    { name: "503", key: "pushed_back", mark: 0 },
    { name: "unknown", key: "unknown", mark: 1 },
    { name: "dead letters", key: "dead_letters", mark: 4 }], count),
  new chart(by_id("charts"), "Store latency, p95", [
    { name: "accept", key: "accept_p95_ms", mark: 0 },
    { name: "commit", key: "commit_p95_ms", mark: 1 }], ms),
];

let last_letters = -1;
let letters_at = 0;

function show(s) {
  put("node", s.cluster ? s.cluster.name : s.node);
  document.title = `${s.node} – Troupe`;
  by_id("state").hidden = false;
  by_id("state").className = s.ready ? "pill good" : "pill bad";
  put("state", s.draining ? "draining" : s.ready ? "ready" : "not ready");
  put("uptime", "up " + span(s.uptime_s));
  show_tiles(s);
  show_errors(s);
  show_limit(s);
  show_store(s);
  show_busiest(s);
  show_campaigns(s);
  show_alarms(alarms_of(s, show_shards(s)));
  const dead = s.store ? s.store.dead_letters : last_letters;
  if (dead !== last_letters || Date.now() - letters_at > 10000) {
    last_letters = dead;
    letters_at = Date.now();
    if (known_token()) letters.refresh();
  }
}

function take(name, data) {
  if (name === "history") for (const one of charts) one.show(data);
  if (name === "stats") show(data);
  if (name === "trouble") show_alarms([["bad", data.error]]);
}

let how_now = "";

function tell(how) {
  if (how === how_now) return;
  how_now = how;
  const at = new Date().toLocaleTimeString([], { hour12: false });
  const words = {
    live: "live",
    gone: `the node does not answer since ${at}; trying again`,
    busy: "too many look at this node, or it starts; trying again",
    token: "this node shows its figures only with the token",
  };
  put("link", words[how]);
  by_id("link").className = how === "live" ? "pill good" : "pill bad";
  document.body.classList.toggle("gone", how !== "live");
  if (how === "token") by_id("token").focus();
}

function start() {
  by_id("token-form").addEventListener("submit", (e) => {
    e.preventDefault();
    remember_token(by_id("token").value.trim());
    by_id("token").value = "";
    by_id("forget").hidden = !known_token();
    letters.refresh();
    try_now();
  });
  by_id("forget").addEventListener("click", () => {
    remember_token("");
    by_id("forget").hidden = true;
    by_id("token").focus();
    letters.refresh();
  });
  by_id("forget").hidden = !known_token();
  letters.start();
  letters.refresh();
  follow(take, tell);
}

start();
