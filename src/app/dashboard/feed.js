// The node's events, again and again until the page is closed.
//
// EventSource can't send a token, so this reads the stream itself.

const silence_ms = 6000; // the node speaks every second
const pauses_ms = [500, 1000, 2000, 5000];

let token = sessionStorage.getItem("troupe.token") || "";

export function known_token() { return token; }

export function remember_token(text) {
  token = text;
  if (text) sessionStorage.setItem("troupe.token", text);
  else sessionStorage.removeItem("troupe.token");
}

export function headers() {
  return token ? { Authorization: "Bearer " + token } : {};
}

// Takes text as it comes and calls take(name, data) for each event.
export function event_reader(take) {
  let rest = "";
  return (text) => {
    rest += text;
    for (let end; (end = rest.indexOf("\n\n")) >= 0;) {
      let name = "message", data = "";
      for (const line of rest.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        if (line.startsWith("data: ")) data += line.slice(6);
      }
      rest = rest.slice(end + 2);
      if (data) take(name, JSON.parse(data));
    }
  };
}

async function listen(take, alive) {
  const stop = new AbortController();
  let watch = setTimeout(() => stop.abort(), silence_ms);
  try {
    const answer = await fetch("stats/events",
      { headers: headers(), cache: "no-store", signal: stop.signal });
    if (answer.status === 401) return "token";
    if (!answer.ok) return answer.status === 503 ? "busy" : "gone";
    const read = event_reader(take);
    const decoder = new TextDecoder();
    const body = answer.body.getReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) return "gone";
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), silence_ms);
      alive();
      read(decoder.decode(value, { stream: true }));
    }
  } catch (e) {
    return "gone";
  } finally {
    clearTimeout(watch);
    stop.abort();
  }
}

let wake = () => {};

// Does not wait for the next try: the token is another, or someone asked.
export function try_now() { wake(); }

// take(name, data) for events; tell(how) with "live", "gone", "busy", "token".
export async function follow(take, tell) {
  for (let tries = 0;;) {
    const why = await listen(take, () => { tries = 0; tell("live"); });
    tell(why);
    const pause = pauses_ms[Math.min(tries++, pauses_ms.length - 1)];
    await new Promise((go) => {
      wake = go;
      setTimeout(go, why === "token" ? 60000 : pause);
    });
  }
}
