// The recording over time, and the brush that selects a part of it.

const LANE = 50;
const GAP = 13;
const LEFT = 124;
const RIGHT = 10;

const seconds = (us) => `${(us / 1e6).toFixed(stretches.width_us % 1e6 === 0 ? 0 : 1)} s`;
const lengthOf = (at) => Math.max(1, beginOf(at + 1) - beginOf(at));

// A recording ends somewhere: of its last moment, which may be shorter than a sample, no rate can be told.
const usedCores = (us, at) => (at > 0 && lengthOf(at) * 10 < stretches.width_us ? null : us / lengthOf(at));

function lanes() {
  const snapshots = hasSnapshots ? "" : "not known: no snapshots were taken";
  const counted = (series) => ({ values: series.map((seen) => seen?.[0] ?? null), most: series.map((seen) => seen?.[1] ?? null) });
  return [
    { name: "CPU", class: "cpu", values: Array.from(stretches.cpu_us, usedCores), say: (value) => `${value.toFixed(2)} cores`, least: 0.1 },
    { name: "live tasks", class: "live", ...counted(stretches.live), say: mean, missing: snapshots, least: 1 },
    { name: "ready tasks", class: "ready", ...counted(stretches.ready), say: mean, missing: snapshots, least: 1 },
    { name: "lag", class: "lag", values: stretches.lag_ms.map((seen) => seen?.[0] ?? null), say: ms, missing: snapshots || "could not be told", least: 0.1 },
    { name: "held by stalls", class: "stall", values: Array.from(heldOver()), say: (us) => (us === 0 ? "0" : duration(us * 1e3)), bars: true, least: 1000,
      missing: report.runtimes.length === 0 ? "not known: no async runtime was found" : "" },
  ];
}

// How long workers were held in each stretch, all together: a long stall holds its own through several.
function heldOver() {
  const { count, width_us: width } = stretches;
  const held = new Float64Array(count);
  stallList.start_us.forEach((start, index) => {
    const end = start + stallList.us[index];
    for (let at = Math.floor(start / width); at < count && at * width < end; at++) {
      held[at] += Math.min(end, (at + 1) * width) - Math.max(start, at * width);
    }
  });
  return held;
}

class Timeline {
  constructor(element) {
    this.element = element;
    this.lanes = lanes();
    this.height = this.lanes.length * (LANE + GAP) + 18;
    this.from = this.handle("Start of the selected time", (at) => selection.select(Math.min(at, selection.range.to - 1), selection.range.to));
    this.to = this.handle("End of the selected time", (at) => selection.select(selection.range.from, Math.max(at, selection.range.from + 1)));
    this.redraw = everyFrame(() => this.draw());
    this.remark = everyFrame(() => this.mark());
    new ResizeObserver(() => this.redraw()).observe(element);
    selection.follow(() => this.remark());
  }

  get scale() {
    return (this.width - LEFT - RIGHT) / Math.max(1, stretches.duration_us);
  }

  x(us) {
    return LEFT + Math.min(us, stretches.duration_us) * this.scale;
  }

  stretchAt(clientX) {
    const x = clientX - this.element.getBoundingClientRect().left;
    const at = Math.floor((x - LEFT) / this.scale / stretches.width_us);
    return Math.max(0, Math.min(stretches.count - 1, at));
  }

  draw() {
    this.width = this.element.clientWidth;
    if (this.width === 0) return;
    const { width, height } = this;
    this.values = [];
    const drawn = this.lanes.map((lane, index) => this.lane(lane, index * (LANE + GAP)));
    this.before = svg("rect", { class: "shade", y: 0, height: height - 18 });
    this.after = svg("rect", { class: "shade", y: 0, height: height - 18 });
    this.cross = svg("line", { class: "cross", y1: 0, y2: height - 18, visibility: "hidden" });
    const plot = svg("rect", { class: "plot", x: LEFT, y: 0, width: Math.max(0, width - LEFT - RIGHT), height: height - 18 });
    this.brush(plot);
    const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.summary() },
      this.axis(), drawn, this.before, this.after, this.cross, plot);
    this.element.replaceChildren(picture, this.from, this.to);
    this.mark();
  }

  summary() {
    const known = this.lanes.filter((lane) => lane.values.some((value) => value !== null));
    return "Over time: " + known.map((lane) => `${lane.name} up to ${lane.say(Math.max(...lane.values.filter((value) => value !== null)))}`).join(", ");
  }

  lane(lane, top) {
    const bottom = top + LANE;
    const known = lane.values.filter((value) => value !== null);
    const about = svg("text", { class: "lane-value", x: 0, y: top + 33 });
    this.values.push(about);
    const parts = [
      svg("text", { class: "lane-name", x: 0, y: top + 16 }, lane.name), about,
      svg("line", { class: "base", x1: LEFT, x2: this.width - RIGHT, y1: bottom + 0.5, y2: bottom + 0.5 }),
    ];
    if (known.length === 0 || (lane.missing && lane.class === "stall")) {
      lane.values = lane.values.map(() => null);
      parts.push(svg("text", { x: LEFT + 8, y: top + 30 }, lane.missing || "nothing"));
      return svg("g", {}, parts);
    }
    const highest = Math.max(lane.least, ...known, ...(lane.most ?? []).filter((value) => value !== null));
    const y = (value) => bottom - (value / highest) * (LANE - 6);
    if (lane.most) parts.push(svg("path", { class: `${lane.class} most`, d: this.steps(lane.most, y, null) }));
    parts.push(lane.bars
      ? svg("path", { class: `${lane.class} area`, d: this.bars(lane.values, y, bottom) })
      : svg("path", { class: `${lane.class} area`, d: this.steps(lane.values, y, bottom) }));
    return svg("g", {}, parts);
  }

  // Steps, because each value is of a whole stretch; closed down to `bottom` if there is one.
  steps(values, y, bottom) {
    let path = "";
    let isOpen = false;
    values.forEach((value, at) => {
      const [left, right] = [this.x(beginOf(at)), this.x(beginOf(at + 1))];
      const isKnown = value !== null && right > left;
      if (isKnown) path += `${isOpen ? "L" : bottom === null ? "M" : `M${left.toFixed(1)} ${bottom}L`}${left.toFixed(1)} ${y(value).toFixed(1)}H${right.toFixed(1)}`;
      const ends = values[at + 1] === undefined || values[at + 1] === null;
      if (isKnown && ends && bottom !== null) path += `V${bottom}Z`;
      isOpen = isKnown && !ends;
    });
    return path;
  }

  bars(values, y, bottom) {
    let path = "";
    values.forEach((value, at) => {
      if (!value) return;
      const [left, right] = [this.x(beginOf(at)), this.x(beginOf(at + 1))];
      const wide = Math.max(1, right - left - (right - left > 4 ? 1 : 0));
      path += `M${left.toFixed(1)} ${bottom}V${Math.min(y(value), bottom - 1.5).toFixed(1)}h${wide.toFixed(1)}V${bottom}Z`;
    });
    return path;
  }

  axis() {
    const room = Math.max(2, Math.floor((this.width - LEFT) / 90));
    const rough = stretches.duration_us / room;
    const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
    const ticks = [];
    for (let us = 0; us <= stretches.duration_us && ticks.length < 100; us += step) {
      const x = this.x(us);
      ticks.push(svg("line", { class: "tick", x1: x, x2: x, y1: 0, y2: this.height - 18 }),
        svg("text", { x, y: this.height - 3, "text-anchor": us === 0 ? "start" : x > this.width - 30 ? "end" : "middle" }, us === 0 ? "0" : us < 1e6 ? duration(us * 1e3) : `${+(us / 1e6).toFixed(3)} s`));
    }
    return svg("g", {}, ticks);
  }

  brush(plot) {
    let start = null;
    let moved = false;
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = this.stretchAt(event.clientX);
      moved = false;
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      const at = this.stretchAt(event.clientX);
      this.point(at);
      if (start === null) return;
      moved ||= at !== start;
      if (moved) selection.select(Math.min(start, at), Math.max(start, at) + 1);
    });
    plot.addEventListener("pointerup", () => {
      // A click selects a stretch, and one into a selection lets it go.
      const { range } = selection;
      if (start !== null && !moved) {
        if (!range.isWhole && start >= range.from && start < range.to) selection.reset();
        else selection.select(start, start + 1);
      }
      start = null;
    });
    plot.addEventListener("pointercancel", () => (start = null));
    plot.addEventListener("pointerleave", () => this.point(null));
  }

  handle(label, move) {
    const handle = el("div", { class: "handle", role: "slider", tabindex: 0, "aria-label": label });
    handle.style.height = `${this.height - 18}px`;
    const at = () => Number(handle.getAttribute("aria-valuenow"));
    handle.addEventListener("keydown", (event) => {
      const big = Math.max(1, Math.round(stretches.count / 10));
      const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -big, PageUp: big, Home: -Infinity, End: Infinity };
      if (event.key !== "Escape" && !(event.key in keys)) return;
      event.preventDefault();
      if (event.key === "Escape") return selection.reset();
      move(Math.max(0, Math.min(stretches.count, at() + keys[event.key])));
    });
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const x = event.clientX - this.element.getBoundingClientRect().left;
      move(Math.round((x - LEFT) / this.scale / stretches.width_us));
    });
    return handle;
  }

  // Shows the selection, and what the lanes are in it.
  mark() {
    if (!this.before) return;
    const { range } = selection;
    const [from, to] = [this.x(beginOf(range.from)), this.x(beginOf(range.to))];
    const end = this.width - RIGHT;
    fill(this.before, { x: LEFT, width: Math.max(0, from - LEFT) }, []);
    fill(this.after, { x: to, width: Math.max(0, end - to) }, []);
    for (const [handle, x, at] of [[this.from, from, range.from], [this.to, to, range.to]]) {
      handle.style.left = `${x}px`;
      handle.classList.toggle("idle", range.isWhole);
      fill(handle, { "aria-valuemin": 0, "aria-valuemax": stretches.count, "aria-valuenow": at, "aria-valuetext": seconds(beginOf(at)) }, []);
    }
    this.point(null);
  }

  // The values of a stretch, or of what is selected.
  point(at) {
    if (!this.cross) return;
    this.cross.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) {
      const x = (this.x(beginOf(at)) + this.x(beginOf(at + 1))) / 2;
      fill(this.cross, { x1: x, x2: x }, []);
    }
    const [from, to] = at === null ? [selection.range.from, selection.range.to] : [at, at + 1];
    this.lanes.forEach((lane, index) => {
      let [sum, weight] = [0, 0];
      for (let stretch = from; stretch < to; stretch++) {
        if (lane.values[stretch] === null || lane.values[stretch] === undefined) continue;
        const part = lane.bars ? 1 : lengthOf(stretch);
        sum += lane.values[stretch] * part;
        weight += part;
      }
      this.values[index].textContent = weight === 0 ? "" : lane.say(lane.bars ? sum : sum / weight);
    });
  }
}
