// Curves as SVG: a few lines over the last minutes, their values to be read by
// pointer and by keyboard, and said in words for who can't see them.

const svg_ns = "http://www.w3.org/2000/svg";
const height = 144, left = 56, right = 8, top = 8, bottom = 20;

function svg(name, attributes, parent) {
  const made = document.createElementNS(svg_ns, name);
  for (const [key, value] of Object.entries(attributes))
    made.setAttribute(key, value);
  if (parent) parent.append(made);
  return made;
}

// The next of 1, 2, 5, 10... at or above a value.
export function round_up(value) {
  if (!(value > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10])
    if (step * unit >= value) return step * unit;
  return value;
}

export class chart {
  // lines: [{name, key, mark}], mark 0..7 chooses colour and dashes.
  constructor(parent, title, lines, format) {
    this.lines = lines;
    this.title = title;
    this.format = format;
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    this.width = 300;
    this.svg = svg("svg", { role: "img", tabindex: "0" });
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.figure.append(caption, this.svg, this.legend);
    parent.append(this.figure);
    this.make_parts();
    this.chosen = -1; // the point that is read; -1: the newest
    this.history = null;
    new ResizeObserver(() => this.fit()).observe(this.svg);
    this.svg.addEventListener("pointermove", (e) => this.point_at(e));
    this.svg.addEventListener("pointerleave", () => this.choose(-1));
    this.svg.addEventListener("blur", () => this.choose(-1));
    this.svg.addEventListener("keydown", (e) => this.on_key(e));
  }

  make_parts() {
    this.grid = [];
    this.labels = [0, 0.5, 1].map((part) => {
      const y = height - bottom - part * (height - top - bottom);
      this.grid.push(svg("line", { class: "gridline", x1: left, y1: y, y2: y },
        this.svg));
      return svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" },
        this.svg);
    });
    this.from = svg("text", { x: left, y: height - 5 }, this.svg);
    this.to = svg("text", { y: height - 5, "text-anchor": "end" }, this.svg);
    this.paths = this.lines.map((line) =>
      svg("path", { class: `curve k${line.mark}` }, this.svg));
    this.cursor = svg("line", { class: "cursor", y1: top,
      y2: height - bottom, visibility: "hidden" }, this.svg);
    this.values = this.lines.map((line) => {
      const item = document.createElement("li");
      const sample = svg("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" },
        item);
      svg("path", { class: `curve k${line.mark}`, d: "M0 5H24" }, sample);
      const text = document.createElement("span");
      item.append(" ", text);
      this.legend.append(item);
      return text;
    });
  }

  // Text must not be stretched, so the drawing is as wide as its place.
  fit() {
    this.width = Math.max(120, this.svg.clientWidth);
    for (const line of this.grid) line.setAttribute("x2", this.width - right);
    this.to.setAttribute("x", this.width - right);
    if (this.history) this.show(this.history);
  }

  points() {
    return this.history ? this.history[this.lines[0].key].length : 0;
  }

  x(i) {
    const all = Math.max(2, this.points());
    return left + (this.width - left - right) * i / (all - 1);
  }

  show(history) {
    this.history = history;
    const n = this.points();
    let most = 0;
    for (const line of this.lines)
      for (const value of history[line.key]) most = Math.max(most, value);
    const ceiling = round_up(most);
    this.labels.forEach((label, i) => {
      label.textContent = this.format(ceiling * i / 2);
    });
    this.lines.forEach((line, l) => {
      const path = history[line.key].map((value, i) => {
        const y = height - bottom -
          value / ceiling * (height - top - bottom);
        return `${i ? "L" : "M"}${this.x(i).toFixed(1)} ${y.toFixed(1)}`;
      });
      this.paths[l].setAttribute("d", path.join(""));
    });
    this.from.textContent = n ? this.clock(0) : "";
    this.to.textContent = n ? this.clock(n - 1) : "no figures yet";
    this.read();
  }

  clock(i) {
    const { until_ms, step_s } = this.history;
    const at = until_ms - (this.points() - 1 - i) * step_s * 1000;
    return new Date(at).toLocaleTimeString([], { hour12: false });
  }

  read() {
    const n = this.points();
    const i = this.chosen < 0 ? n - 1 : Math.min(this.chosen, n - 1);
    const words = this.lines.map((line, l) => {
      const value = n ? this.format(this.history[line.key][i]) : "–";
      this.values[l].textContent = `${line.name} ${value}`;
      return `${line.name} ${value}`;
    });
    const when = this.chosen < 0 || !n ? "now" : "at " + this.clock(i);
    this.svg.setAttribute("aria-label",
      `${this.title}, ${when}: ${words.join(", ")}`);
    this.cursor.setAttribute("visibility",
      this.chosen < 0 || !n ? "hidden" : "visible");
    this.cursor.setAttribute("x1", this.x(i));
    this.cursor.setAttribute("x2", this.x(i));
    if (this.chosen >= 0 && n) this.to.textContent = this.clock(i);
    else if (n) this.to.textContent = this.clock(n - 1);
  }

  choose(i) {
    this.chosen = i;
    if (this.history) this.read();
  }

  point_at(e) {
    const box = this.svg.getBoundingClientRect();
    const part = (e.clientX - box.left - left) / (box.width - left - right);
    const n = this.points();
    if (n) this.choose(Math.max(0, Math.min(n - 1, Math.round(part * (n - 1)))));
  }

  on_key(e) {
    const n = this.points();
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12,
      Home: -n, End: n }[e.key];
    if (e.key === "Escape") return this.choose(-1);
    if (!by || !n) return;
    e.preventDefault();
    const from = this.chosen < 0 ? n - 1 : this.chosen;
    this.choose(Math.max(0, Math.min(n - 1, from + by)));
  }
}
