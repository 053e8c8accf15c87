// Chromium driven by its own protocol, over a pipe: no package from a registry.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const patience_ms = 120_000; // a slow machine is no failure

export async function eventually(what, condition, limit_ms = patience_ms) {
  const until = Date.now() + limit_ms;
  for (let last; ; await new Promise((go) => setTimeout(go, 100))) {
    try {
      last = await condition();
      if (last) return last;
    } catch (e) {
      last = e;
    }
    if (Date.now() > until) throw new Error(`never: ${what} (last: ${last})`);
  }
}

export class browser {
  static async start(program) {
    const folder = mkdtempSync(join(tmpdir(), "troupe-browser-"));
    const flags = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu",
      "--no-first-run", "--disable-background-networking", "--disable-sync",
      "--disable-component-update", "--disable-dev-shm-usage",
      "--hide-scrollbars", "--lang=en", `--user-data-dir=${folder}`];
    // Root, as in a container, has no sandbox to use.
    if (process.getuid() === 0) flags.push("--no-sandbox");
    const child = spawn(program, [...flags, "about:blank"],
      { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"], detached: false,
        env: { ...process.env, HOME: folder } });
    return new browser(child, folder);
  }

  constructor(child, folder) {
    this.child = child;
    this.folder = folder;
    this.waiting = new Map();
    this.next = 1;
    this.hearing = [];
    this.said = "";
    child.stderr.on("data", (text) => { this.said += text; });
    let rest = "";
    child.stdio[4].setEncoding("utf8");
    child.stdio[4].on("data", (text) => {
      rest += text;
      for (let end; (end = rest.indexOf("\0")) >= 0; rest = rest.slice(end + 1))
        this.take(JSON.parse(rest.slice(0, end)));
    });
    child.on("exit", (code) => {
      for (const one of this.waiting.values())
        one.no(new Error(`chromium ended with ${code}: ${this.said}`));
    });
    child.stdio[3].on("error", () => {});
  }

  take(message) {
    const one = this.waiting.get(message.id);
    if (!one) return this.hearing.forEach((hear) => hear(message));
    this.waiting.delete(message.id);
    if (message.error) one.no(new Error(JSON.stringify(message.error)));
    else one.yes(message.result);
  }

  call(method, params = {}, sessionId) {
    const id = this.next++;
    this.child.stdio[3].write(
      JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((yes, no) => {
      const late = setTimeout(() => no(new Error(`${method}: no answer`)),
        patience_ms);
      this.waiting.set(id, {
        yes: (r) => { clearTimeout(late); yes(r); },
        no: (e) => { clearTimeout(late); no(e); } });
    });
  }

  async stop() {
    const ended = new Promise((go) => this.child.once("exit", go));
    if (this.child.exitCode === null) {
      this.call("Browser.close").catch(() => {});
      const hard = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(hard);
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async tab() {
    const { targetId } =
      await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } =
      await this.call("Target.attachToTarget", { targetId, flatten: true });
    const made = new tab(this, sessionId);
    for (const domain of ["Page", "Runtime", "Network", "Log", "DOM",
      "Accessibility"])
      await made.call(domain + ".enable");
    return made;
  }
}

class tab {
  constructor(of, session) {
    this.of = of;
    this.session = session;
    this.requests = [];
    this.errors = [];
    of.hearing.push((m) => { if (m.sessionId === session) this.hear(m); });
  }

  hear({ method, params }) {
    if (method === "Network.requestWillBeSent")
      this.requests.push(params.request.url);
    if (method === "Runtime.exceptionThrown")
      this.errors.push("exception: " + JSON.stringify(params.exceptionDetails));
    if (method === "Runtime.consoleAPICalled" && params.type === "error")
      this.errors.push("console: " + JSON.stringify(params.args));
    if (method === "Log.entryAdded" && params.entry.level === "error")
      this.errors.push(`${params.entry.source}: ${params.entry.text} ` +
        `${params.entry.url}`);
  }

  call(method, params) { return this.of.call(method, params, this.session); }

  async run(code) {
    const { result, exceptionDetails } = await this.call("Runtime.evaluate",
      { expression: code, returnByValue: true, awaitPromise: true });
    if (exceptionDetails)
      throw new Error(`${code}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  text(id) {
    return this.run(`document.getElementById(${JSON.stringify(id)}).textContent`);
  }

  async key(key, code = key, number = 0) {
    const what = { key, code, windowsVirtualKeyCode: number };
    const text = key === "Enter" ? "\r" : key === " " ? " " : undefined;
    await this.call("Input.dispatchKeyEvent",
      { type: text ? "keyDown" : "rawKeyDown", text, ...what });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...what });
  }

  type(text) { return this.call("Input.insertText", { text }); }

  async size(width, height, mobile) {
    await this.call("Emulation.setDeviceMetricsOverride",
      { width, height, deviceScaleFactor: 1, mobile });
  }

  scheme(value) {
    return this.call("Emulation.setEmulatedMedia",
      { features: [{ name: "prefers-color-scheme", value }] });
  }

  async picture(whole) {
    const { data } = await this.call("Page.captureScreenshot",
      { format: "png", captureBeyondViewport: Boolean(whole) });
    return Buffer.from(data, "base64");
  }
}
