// Dead letters: what died, why, and what to do with it. All of it needs the
// token, which goes in a header: no other site can make a browser send that.

import { headers, known_token } from "./feed.js";

const page_size = 50;
const sure_ms = 5000;

const by_id = (id) => document.getElementById(id);
const rows = new Map(); // id -> its <li>
let next = null;
let shown_limit = page_size;
let asking = false;
let done_said = false;

function say(text, bad) {
  by_id("letters-said").textContent = text;
  by_id("letters-said").className = bad ? "bad" : "quiet";
}

async function ask(path, body) {
  const how = { headers: headers(), cache: "no-store" };
  if (body) {
    how.method = "POST";
    how.headers["Content-Type"] = "application/json";
    how.body = JSON.stringify(body);
  }
  const answer = await fetch("admin/dead-letters" + path, how);
  if (answer.status === 401) throw new Error("the token is not this bot's");
  const page = await answer.json();
  if (!answer.ok) throw new Error(page.error || "HTTP " + answer.status);
  return page;
}

export function element(name, text, of) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (of) made.className = of;
  return made;
}

function button(text, act, of) {
  const made = element("button", text, of);
  made.type = "button";
  made.addEventListener("click", () => act(made));
  return made;
}

// Has to be pressed twice: what it does can't be undone.
function arm(made, act) {
  const text = made.textContent;
  let sure = 0;
  made.addEventListener("click", () => {
    if (sure) {
      clearTimeout(sure);
      sure = 0;
      made.textContent = text;
      return act(made);
    }
    made.textContent = text + ": sure?";
    sure = setTimeout(() => { sure = 0; made.textContent = text; }, sure_ms);
  });
  return made;
}

async function act(what, body, pressed) {
  // Not disabled: who stands on a disabled button stands nowhere.
  if (pressed.getAttribute("aria-busy") === "true") return;
  pressed.setAttribute("aria-busy", "true");
  done_said = false;
  const done = what === "retry" ? "retried" : "dropped";
  try {
    let count = 0, page;
    do {
      page = await ask("/" + what, body);
      count += page[done];
    } while (page.more && page[done] > 0);
    await refresh();
    say(`${count} ${done}.`);
    done_said = true;
  } catch (e) {
    say(`${what}: ${e.message}`, true);
  } finally {
    pressed.removeAttribute("aria-busy");
  }
}

async function show_body(id, row, pressed) {
  const old = row.querySelector("pre");
  if (old) {
    old.remove();
    pressed.setAttribute("aria-expanded", "false");
    return;
  }
  try {
    const letter = await ask("/" + id);
    row.append(element("pre", JSON.stringify(letter.body, null, 2)));
    pressed.setAttribute("aria-expanded", "true");
  } catch (e) {
    say(e.message, true);
  }
}

function make_row(letter) {
  const row = element("li");
  const id = letter.id;
  const died = new Date(letter.died_at_ms).toLocaleString([], { hour12: false });
  row.append(element("p", `#${id}, ${letter.type} of chat ${letter.chat}, ` +
    `update ${letter.update_id}, died ${died}`, "quiet"));
  row.append(element("p", letter.error, "error"));
  const retry = button("Retry", (b) => act("retry", { ids: [id] }, b));
  const drop = arm(element("button", "Drop", "danger"),
    (b) => act("drop", { ids: [id] }, b));
  drop.type = "button";
  const show = button("Show", (b) => show_body(id, row, b));
  show.setAttribute("aria-expanded", "false");
  for (const one of [retry, drop, show])
    one.setAttribute("aria-describedby", "letter-" + id);
  row.firstChild.id = "letter-" + id;
  row.append(retry, drop, show);
  return row;
}

// Rows that stay are left alone: who stands on a button keeps standing on it.
function show_rows(letters) {
  const list = by_id("letter-rows");
  const seen = new Set(letters.map((one) => one.id));
  for (const [id, row] of rows) {
    if (seen.has(id)) continue;
    const had_focus = row.contains(document.activeElement);
    const after = row.nextElementSibling || row.previousElementSibling;
    row.remove();
    rows.delete(id);
    if (had_focus)
      (after ? after.querySelector("button") : by_id("letters")).focus();
  }
  for (const one of letters) {
    if (rows.has(one.id)) continue;
    const row = make_row(one);
    rows.set(one.id, row);
    list.append(row);
  }
  by_id("letters-all").hidden = letters.length === 0;
  by_id("more").hidden = next === null;
}

export async function refresh() {
  if (!known_token()) {
    next = null;
    show_rows([]);
    return say("Give the token to see them.");
  }
  if (asking) return;
  asking = true;
  try {
    const page = await ask("?limit=" + shown_limit);
    next = page.next;
    show_rows(page.dead_letters);
    // What was done stays said until something else is.
    if (!done_said) say(page.dead_letters.length ? "" : "There are none.");
  } catch (e) {
    next = null;
    show_rows([]);
    say(e.message, true);
  } finally {
    asking = false;
  }
}

export function start() {
  const all = () => ({ all: true, before_ms: Date.now() });
  by_id("retry-all").addEventListener("click",
    (e) => act("retry", all(), e.currentTarget));
  arm(by_id("drop-all"), (b) => act("drop", all(), b));
  by_id("more").addEventListener("click", () => {
    shown_limit = Math.min(1000, shown_limit + page_size);
    refresh();
  });
}
