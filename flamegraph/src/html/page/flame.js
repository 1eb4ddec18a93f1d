// The flamegraph: a canvas, because ten thousand boxes are too many elements to keep up with a brush.

const ROW = 19;
const LETTER = 7.23;
const NARROWEST = 0.4;
const LINES = 4;
const HIGHLIGHT = "#ff5fd2";

class Flame {
  constructor({ canvas, nothing, tip, told, onZoom }) {
    Object.assign(this, { canvas, nothing, tip, told, onZoom });
    this.zoomed = 0;
    this.cursor = null;
    this.hovered = null;
    this.found = null;
    this.visible = [];
    this.redraw = everyFrame(() => this.draw());
    new ResizeObserver(() => this.redraw()).observe(canvas.parentElement);
    canvas.addEventListener("mousemove", (event) => this.hover(event));
    canvas.addEventListener("mouseleave", () => this.leave());
    canvas.addEventListener("click", (event) => this.click(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.leave());
  }

  // Shows other boxes, or the same ones measured anew.
  show(boxes, view) {
    if (boxes !== this.boxes) {
      this.zoomed = 0;
      this.cursor = null;
    }
    this.boxes = boxes;
    this.view = view;
    this.tip.hidden = true;
    this.hovered = null;
    while (boxes && this.zoomed !== 0 && boxes.total[this.zoomed] === 0) this.zoomed = boxes.parent[this.zoomed];
    this.redraw();
    this.onZoom();
  }

  highlight(found) {
    this.found = found;
    this.redraw();
  }

  zoom(box) {
    this.zoomed = box;
    this.redraw();
    this.onZoom();
  }

  // What is seen: the boxes above the zoomed one in full width, and those below it to scale.
  layOut(width) {
    const { boxes, zoomed } = this;
    const path = boxes.path(zoomed);
    const visible = path.map((box, row) => ({ box, row, x: 0, width, above: row < path.length - 1 }));
    const scale = width / boxes.total[zoomed];
    const pending = [visible[visible.length - 1]];
    while (pending.length > 0) {
      const { box, row, x } = pending.pop();
      let at = x;
      for (const child of boxes.children[box]) {
        const wide = boxes.total[child] * scale;
        if (wide >= NARROWEST) {
          const placed = { box: child, row: row + 1, x: at, width: wide, above: false };
          visible.push(placed);
          pending.push(placed);
        }
        at += wide;
      }
    }
    this.visible = visible;
    this.rows = [];
    for (const placed of visible) (this.rows[placed.row] ??= []).push(placed);
  }

  draw() {
    const { canvas, boxes } = this;
    const isEmpty = !boxes || boxes.total[0] === 0;
    canvas.hidden = isEmpty;
    this.nothing.hidden = !isEmpty;
    if (isEmpty) return;
    const width = canvas.parentElement.clientWidth;
    this.layOut(width);
    // A canvas can be so high; what is deeper is recursion.
    const height = Math.min(this.rows.length, 800) * ROW;
    const dense = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    this.paint(pen, isDark());
  }

  paint(pen, dark) {
    const { boxes, found } = this;
    pen.font = `12px ${getComputedStyle(document.documentElement).getPropertyValue("--mono")}`;
    pen.textBaseline = "middle";
    for (const placed of this.visible) {
      const { box, row, x, width, above } = placed;
      const isFound = found?.matched[box] === 1;
      const y = row * ROW;
      pen.globalAlpha = above ? 0.55 : found && !isFound ? 0.5 : 1;
      pen.fillStyle = isFound ? HIGHLIGHT : colorOf(boxes.sort[box], boxes.name[box], dark);
      pen.fillRect(x, y, Math.max(width - 0.7, 0.4), ROW - 1);
      const room = Math.floor((width - 8) / LETTER);
      const label = room > 1 ? fitting(boxes.name[box], room) : "";
      if (label) {
        const sort = boxes.sort[box];
        pen.fillStyle = !isFound && isDeep(sort) ? "#ffffff" : "#161a28";
        pen.fillText(label, x + 4, y + ROW / 2);
      }
    }
    pen.globalAlpha = 1;
    for (const box of [this.hovered, document.activeElement === this.canvas ? this.cursor : null]) {
      const placed = box !== null && this.visible.find((placed) => placed.box === box);
      if (!placed) continue;
      pen.strokeStyle = dark ? "#ffffff" : "#10131c";
      pen.lineWidth = 1.5;
      pen.strokeRect(placed.x + 0.75, placed.row * ROW + 0.75, Math.max(placed.width - 2.2, 1), ROW - 2.5);
    }
  }

  at(event) {
    const row = this.rows?.[Math.floor(event.offsetY / ROW)] ?? [];
    return row.find(({ x, width }) => event.offsetX >= x && event.offsetX < x + width)?.box ?? null;
  }

  hover(event) {
    const box = this.at(event);
    this.canvas.style.cursor = box === null ? "default" : "pointer";
    if (box !== this.hovered) {
      this.hovered = box;
      this.redraw();
    }
    if (box === null) {
      this.tip.hidden = true;
      return;
    }
    this.tip.replaceChildren(...this.tooltip(box));
    this.tip.hidden = false;
    const { width, height } = this.tip.getBoundingClientRect();
    const right = event.clientX + 14 + width > innerWidth - 8;
    const below = event.clientY + 18 + height > innerHeight - 8;
    this.tip.style.left = `${Math.max(8, right ? event.clientX - width - 10 : event.clientX + 14)}px`;
    this.tip.style.top = `${Math.max(8, below ? event.clientY - height - 12 : event.clientY + 18)}px`;
  }

  leave() {
    this.hovered = null;
    this.tip.hidden = true;
    this.redraw();
  }

  click(event) {
    const box = this.at(event);
    if (box === null) return;
    this.cursor = box;
    this.zoom(box);
  }

  key(event) {
    const { boxes } = this;
    if (!boxes || boxes.total[0] === 0) return;
    const box = this.cursor ?? this.zoomed;
    const shown = (boxes) => boxes.filter((box) => this.boxes.total[box] > 0);
    const siblings = box === 0 ? [0] : shown(boxes.children[boxes.parent[box]]);
    const index = siblings.indexOf(box);
    const keys = {
      ArrowDown: () => shown(boxes.children[box])[0],
      ArrowUp: () => boxes.parent[box],
      ArrowRight: () => siblings[index + 1],
      ArrowLeft: () => siblings[index - 1],
      Home: () => 0,
      Enter: () => (this.zoom(box), box),
      Escape: () => (this.zoom(this.zoomed === 0 ? 0 : boxes.parent[this.zoomed]), this.zoomed),
    };
    const go = keys[event.key];
    if (!go) return;
    event.preventDefault();
    const next = go();
    if (next === undefined) return;
    this.cursor = next;
    // A box that is not seen at this zoom is looked for further out.
    if (!boxes.path(next).includes(this.zoomed) && !boxes.path(this.zoomed).includes(next)) this.zoom(boxes.parent[next]);
    this.told.textContent = this.tooltip(next).map((line) => line.textContent).join(" · ");
    this.redraw();
  }

  time(us) {
    return VIEWS[this.view].counted ? taskSeconds(us) : duration(us * 1e3);
  }

  // The same lines as in the SVG (label.rs).
  tooltip(box) {
    const { boxes } = this;
    const lines = [el("div", { class: "name" }, boxes.title(box))];
    const places = boxes.lines(box);
    for (const [place, us] of places.slice(0, LINES)) {
      lines.push(el("div", { class: "place" }, places.length > 1 ? `${place}  (${this.time(us)})` : place));
    }
    if (places.length > LINES) lines.push(el("div", {}, `and ${places.length - LINES} more lines`));
    const view = VIEWS[this.view];
    const facts = [this.time(boxes.total[box])];
    if (box !== 0) facts.push(`${smallPercent(boxes.total[box] / boxes.total[0])} of ${view.whole}`);
    if (view.counted) facts.push(`${mean(boxes.total[box] / covered(boxes.range))} tasks on average`);
    if (boxes.own[box] > 0 && boxes.own[box] < boxes.total[box]) facts.push(`${this.time(boxes.own[box])} in itself`);
    lines.push(el("div", {}, facts.join(" · ") + sorts.rows[boxes.sort[box]].said));
    return lines;
  }
}

// How much time the snapshots of a range stand for, in microseconds.
const covered = (range) => Math.max(1, range.sum(stretches.covered_us));
