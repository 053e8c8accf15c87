// The dashboard as a person on call uses it, in a real browser. Started by
// dashboard_test.cpp, which runs the bot and the simulator.
//
// usage: dashboard.mjs CHROMIUM URL HOLD PICTURES; the token is in TOKEN.
// Exits with 77, and says why, if Chromium can't run on this machine.
// Says "please: kill" and "please: start" when it wants that done to the bot,
// and "all well" at the end.

import assert from "node:assert/strict";
import { mkdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browser, eventually } from "./chromium.mjs";

const [program, url, hold, pictures] = process.argv.slice(2);
const token = process.env.TOKEN;
const origin = new URL(url).origin;

const say = (text) => process.stdout.write(text + "\n");

async function stats() {
  return (await fetch(url + "stats")).json();
}

async function keep(page, name, whole) {
  mkdirSync(pictures, { recursive: true });
  writeFileSync(join(pictures, name + ".png"), await page.picture(whole));
}

// -- what is looked at --------------------------------------------------------

async function numbers_are_those_of_stats(page) {
  await eventually("live", async () => await page.text("link") === "live");
  await eventually("turns", async () => Number(await page.text("turns")) > 0);
  const same = (what, shown, wanted) => eventually(what, async () => {
    const s = await stats();
    return await page.text(shown) === String(wanted(s));
  });
  const whole = (n) =>
    Number.isInteger(n) ? String(n) : n.toFixed(n < 10 ? 1 : 0);
  await same("turns/s", "turns", (s) => whole(s.recent.turns_per_s));
  await same("calls/s", "calls", (s) => whole(s.recent.calls_per_s));
  await same("chats", "chats", (s) => s.store.chats);
  await same("dead letters", "dead", (s) => s.store.dead_letters);
  await same("freezes", "freezes", (s) => s.totals.global_freezes);
  await same("node", "node", (s) => s.node);
  for (const id of ["p50", "p95", "p99"])
    assert.match(await page.text(id), /^[0-9.]+ (ms|s)$/, id);
  const threw = await page.run(`[...document.querySelectorAll("#errors tr")]
    .find((r) => r.textContent.startsWith("handler threw"))
    .lastChild.textContent`);
  assert.equal(threw, String((await stats()).totals.turns_threw));
  assert.equal(await page.run(
    `document.querySelectorAll("#shards .shard").length`),
  (await stats()).shards.length);
  assert.equal(await page.run(
    `document.querySelectorAll("#shards .none").length`), 0);
  assert.match(await page.text("nodes"), /serving/);
  assert.equal(await page.run(`document.getElementById("campaigns").hidden`),
    true);
  await eventually("busiest", async () =>
    await page.run(`document.querySelectorAll("#busiest tr").length`) > 3);
}

async function curves_are_drawn(page) {
  const curves = `[...document.querySelectorAll("figure > svg > .curve")]
    .filter((p) => (p.getAttribute("d") || "").split("L").length >= 3).length`;
  await eventually("all curves, of three points at least",
    async () => await page.run(curves) === 19);
  assert.equal(await page.run(`document.querySelectorAll("figure").length`), 6);
}

async function keyboard_is_enough(page) {
  await page.run(`document.activeElement.blur(); window.scrollTo(0, 0)`);
  await page.key("Tab", "Tab", 9);
  assert.equal(await page.run(`document.activeElement.className`), "skip");
  // Each stop is to be seen.
  const ring = await page.run(
    `getComputedStyle(document.activeElement).outlineWidth`);
  assert.notEqual(ring, "0px");
  let on = "";
  for (let i = 0; i < 10 && on !== "svg"; ++i) {
    await page.key("Tab", "Tab", 9);
    on = await page.run(`document.activeElement.tagName`);
  }
  assert.equal(on, "svg", "a curve can be reached");
  const label = `document.activeElement.getAttribute("aria-label")`;
  assert.match(await page.run(label), /^Turns per second, now: turns /);
  await page.key("ArrowLeft", "ArrowLeft", 37);
  assert.match(await page.run(label), /, at [0-9:]+: turns /);
  await page.key("Escape", "Escape", 27);
  assert.match(await page.run(label), /, now: /);
}

async function names_for_those_who_do_not_see(page) {
  const { nodes } = await page.call("Accessibility.getFullAXTree");
  let seen = 0;
  for (const one of nodes) {
    if (one.ignored || !one.role) continue;
    if (!["button", "textbox", "image", "meter", "progressbar", "table",
      "link"].includes(one.role.value)) continue;
    ++seen;
    if (one.role.value === "table") continue; // its section has the heading
    assert.ok(one.name && one.name.value,
      `no name: ${JSON.stringify(one.role)} ${one.nodeId}`);
  }
  assert.ok(seen > 10, "the tree is there");
  assert.equal(await page.run(
    `document.getElementById("alarms").getAttribute("aria-live")`), "polite");
}

const contrast = `(() => {
  const parse = (c) => c.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => {
    v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(
    "h1, h2, p, td, th, dt, dd, output, a, button, .shard, label")]
    .filter((e) => e.offsetParent && e.textContent.trim())
    .map((e) => {
      const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
        e.tagName + "." + e.className + " " + e.textContent.slice(0, 30)];
    }).sort((a, b) => a[0] - b[0])[0];
})()`;

async function dark_and_light_can_be_read(page) {
  const back = [];
  for (const scheme of ["light", "dark"]) {
    await page.scheme(scheme);
    const [least, where] = await page.run(contrast);
    assert.ok(least >= 4.5, `${scheme}: contrast ${least} of ${where}`);
    back.push(await page.run(
      `getComputedStyle(document.body).backgroundColor`));
    await page.run(`document.activeElement.blur(); window.scrollTo(0, 0)`);
    await keep(page, "dashboard-" + scheme, false);
  }
  assert.notEqual(back[0], back[1]);
}

async function fits_a_phone(page) {
  for (const width of [320, 390]) {
    await page.size(width, 844, true);
    await eventually(`nothing wider than ${width}`, () => page.run(
      `document.documentElement.scrollWidth <= ${width}`), 10_000);
  }
  const small = await page.run(`[...document.querySelectorAll("button")]
    .filter((b) => b.offsetParent && b.offsetHeight < 30)
    .map((b) => b.textContent)`);
  assert.deepEqual(small, [], "big enough for a finger");
  await page.scheme("light");
  await keep(page, "dashboard-phone", false);
}

const row_button = (text, name) => `[...document
  .querySelectorAll("#letter-rows li")]
  .find((r) => r.textContent.includes(${JSON.stringify(text)}))
  .querySelectorAll("button")[${{ Retry: 0, Drop: 1, Show: 2 }[name]}]`;

async function give_token(page, text) {
  await page.run(`document.getElementById("token").focus()`);
  await page.type(text);
  await page.key("Enter", "Enter", 13);
}

const letters = (page) =>
  page.run(`document.querySelectorAll("#letter-rows li").length`);

async function dead_letters_are_acted_on(page) {
  assert.equal(await letters(page), 0, "nothing is shown without the token");
  await give_token(page, "a-wrong-token-of-someone");
  await eventually("a wrong token is said", async () =>
    (await page.text("letters-said")).includes("token is not"));
  // The browser itself complains about the 401: that one was wanted.
  page.errors = page.errors.filter((e) => !e.includes("401"));
  await give_token(page, token);
  await eventually("both letters", async () => await letters(page) === 2);
  assert.match(await page.text("letter-rows"), /this text is poison/);
  // What a chat wrote is text, whatever it looks like.
  const heads = await page.run(`[...document.querySelectorAll(
    "#letter-rows .quiet")].map((p) => p.textContent)`);
  for (const head of heads) assert.match(head, /^#[0-9]+, update of chat 700/);
  // They died at the same moment, in whatever order.
  const of = (chat) =>
    heads.find((head) => head.includes(`chat ${chat},`)).split(" ")[0];
  const first = of(7001), second = of(7002);
  await page.run(row_button(first, "Show") + ".click()");
  await eventually("the body", async () =>
    (await page.text("letter-rows")).includes("<img src=x onerror"));
  assert.equal(await page.run(`document.images.length`), 0);

  await page.run(row_button(second, "Drop") + ".click()");
  assert.equal(await page.run(row_button(second, "Drop") + ".textContent"),
    "Drop: sure?");
  assert.equal((await stats()).store.dead_letters, 2, "one press drops nothing");
  await page.run(row_button(second, "Drop") + ".click()");
  await eventually("dropped", async () =>
    await letters(page) === 1 && (await stats()).store.dead_letters === 1);

  unlinkSync(hold); // from here on the handler doesn't throw
  await page.run(row_button(first, "Retry") + ".focus()");
  await page.key("Enter", "Enter", 13);
  await eventually("retried", async () =>
    await letters(page) === 0 && (await stats()).store.dead_letters === 0);
  await eventually("the page counts none", async () =>
    await page.text("dead") === "0");
  assert.notEqual(await page.run(`document.activeElement.tagName`), "BODY",
    "who pressed a button that went away still stands somewhere");
}

async function says_when_the_node_is_gone(page) {
  say("please: kill");
  await eventually("it says so", async () =>
    (await page.text("link")).includes("does not answer"));
  assert.ok(await page.run(`document.body.classList.contains("gone")`));
  say("please: start");
  await eventually("it is back", async () =>
    await page.text("link") === "live" && await page.text("state") === "ready");
  assert.ok(!await page.run(`document.body.classList.contains("gone")`));
  // The browser complains about each try: those were wanted.
  page.errors = page.errors.filter((e) => !e.startsWith("network: "));
}

// -----------------------------------------------------------------------------

async function first_tab(of) {
  try {
    return await of.tab();
  } catch (e) {
    say("can't run: " + String(e.message).replaceAll("\n", " ").slice(0, 300));
    process.exitCode = 77;
    return null;
  }
}

async function look(page) {
  await page.size(1280, 920, false);
  await page.scheme("light");
  await page.call("Page.navigate", { url });
  for (const step of [numbers_are_those_of_stats, curves_are_drawn,
    keyboard_is_enough, names_for_those_who_do_not_see,
    dark_and_light_can_be_read, fits_a_phone, dead_letters_are_acted_on,
    says_when_the_node_is_gone]) {
    say(step.name);
    await step(page);
    assert.deepEqual(page.errors, [], "no error on the console");
  }
  const strangers = page.requests.filter((r) =>
    !r.startsWith(origin + "/") && !r.startsWith("data:"));
  assert.deepEqual(strangers, [], "no request leaves the origin");
  assert.ok(page.requests.length > 8);
  say("all well");
}

const chromium = await browser.start(program);
try {
  const page = await first_tab(chromium);
  if (page) await look(page);
} catch (e) {
  say("failed: " + (e.stack || e));
  process.exitCode = 1;
} finally {
  await chromium.stop();
}
