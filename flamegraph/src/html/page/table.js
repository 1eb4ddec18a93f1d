// A table that sorts, filters, and shows more of a row where there is more.

// `columns`: { title, number, value(row), cell(row) }; `row.key` says which row is the same as before.
class Table {
  constructor(section, { columns, shown = 10, filter = null, sorted = null, detail = null, label }) {
    Object.assign(this, { section, columns, shown, detail });
    this.limit = shown;
    this.sorted = sorted;
    this.wanted = "";
    this.open = new Set();
    this.heads = columns.map((column, index) => this.head(column, index));
    this.body = el("tbody");
    this.foot = el("tfoot");
    this.said = el("span", { class: "said", role: "status" });
    this.more = el("button", { type: "button", class: "link", onclick: () => this.toggle() });
    this.filter = filter && el("input", {
      type: "search", name: filter, placeholder: filter, "aria-label": filter, autocomplete: "off", spellcheck: "false",
      oninput: (event) => {
        this.wanted = event.target.value.toLowerCase();
        this.draw();
      },
    });
    this.table = el("div", { class: "table" },
      el("table", { "aria-label": label }, el("thead", {}, el("tr", {}, this.heads)), this.body, this.foot));
    section.append(...[filter && el("div", { class: "tools" }, this.filter, this.said), this.table, this.more].filter(Boolean));
  }

  head(column, index) {
    const button = el("button", { type: "button", title: column.about, onclick: () => this.sort(index) }, column.title);
    return el("th", { scope: "col", class: column.number ? "number" : "grow" }, button);
  }

  sort(index) {
    const isSame = this.sorted?.index === index;
    // Numbers are looked at from the largest on, names from the first.
    const first = this.columns[index].number ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    this.sorted = { index, order: isSame && this.sorted.order === first ? other : first };
    this.draw();
  }

  toggle() {
    this.limit = this.limit === Infinity ? this.shown : Infinity;
    this.draw();
  }

  show(rows, feet = []) {
    this.rows = rows;
    this.feet = feet;
    this.draw();
  }

  // Brings a row into view, whatever hides it.
  reveal(key) {
    this.wanted = "";
    if (this.filter) this.filter.value = "";
    this.limit = Infinity;
    if (this.detail) this.open.add(key);
    this.draw();
    const row = this.body.querySelector(`[data-key="${key}"]`);
    if (!row) return;
    this.body.querySelectorAll(".marked").forEach((other) => other.classList.remove("marked"));
    row.classList.add("marked");
    row.scrollIntoView({ block: "center" });
  }

  ordered() {
    const text = (row) => this.columns.map((column) => column.text?.(row) ?? "").join(" ").toLowerCase();
    const rows = this.wanted ? this.rows.filter((row) => text(row).includes(this.wanted)) : [...this.rows];
    if (!this.sorted) return rows;
    const { index, order } = this.sorted;
    const { value } = this.columns[index];
    const turn = order === "descending" ? -1 : 1;
    return rows.sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      // What is not known stands last in either order.
      if (left === null || right === null) return (left === null) - (right === null);
      return turn * (typeof left === "string" ? left.localeCompare(right) : left - right);
    });
  }

  draw() {
    const rows = this.ordered();
    this.heads.forEach((head, index) => {
      if (this.sorted?.index === index) head.setAttribute("aria-sort", this.sorted.order);
      else head.removeAttribute("aria-sort");
    });
    this.body.replaceChildren(...rows.slice(0, this.limit).flatMap((row) => this.drawn(row)));
    this.foot.replaceChildren(...(this.wanted ? [] : this.feet).map((cells) => el("tr", {}, this.columns.map((column, index) =>
      el("td", { class: column.number ? "number" : "grow" }, cells[index] ?? "")))));
    this.said.textContent = this.wanted ? `${count(rows.length)} of ${count(this.rows.length)}` : "";
    const rest = rows.length - this.shown;
    this.more.hidden = rest <= 0;
    this.more.textContent = this.limit === Infinity ? "Show fewer" : `Show ${count(rest)} more`;
  }

  drawn(row) {
    const isOpen = this.open.has(row.key);
    const cells = this.columns.map((column) => el("td", { class: column.number ? "number" : "grow" }, column.cell(row, {
      // What is in the cell opens the row, if there is more of it.
      opens: (...text) => (this.detail ? el("button", { type: "button", class: "expand", "aria-expanded": String(isOpen), onclick: () => this.turn(row.key) }, ...text) : el("span", {}, ...text)),
    })));
    const shown = [el("tr", { class: "row", "data-key": row.key }, cells)];
    if (isOpen) shown.push(el("tr", { class: "detail" }, el("td", { colspan: this.columns.length }, this.detail(row))));
    return shown;
  }

  turn(key) {
    if (!this.open.delete(key)) this.open.add(key);
    this.draw();
    this.body.querySelector(`[data-key="${key}"] .expand`)?.focus();
  }
}

// What is only known of the whole recording.
const unknown = () => el("span", { class: "unknown", title: "known only for the whole recording" }, "–");

function shareCell(share) {
  const fill = el("i");
  fill.style.width = `${Math.min(100, share * 100)}%`;
  return el("span", { class: "share" }, el("span", { class: "track", "aria-hidden": "true" }, fill), el("span", {}, percent(share)));
}

// A stack from the root to the leaf; the machinery of the runtime is there for who asks.
function stackList(stack) {
  if (stack.length === 0) return el("p", { class: "nothing" }, "The stack could not be read.");
  const items = [];
  for (let at = 0; at < stack.length; ) {
    let end = at;
    while (end < stack.length && stack[end].kind === "runtime") end++;
    if (end - at < 2) {
      items.push(frameItem(stack[at++]));
      continue;
    }
    const inside = stack.slice(at, end).map(frameItem);
    items.push(el("li", { class: "runtime" }, el("details", {}, el("summary", {}, `${count(end - at)} frames of the runtime`), el("ol", { class: "stack" }, inside))));
    at = end;
  }
  return el("ol", { class: "stack mono" }, items);
}

const frameItem = (frame) => el("li", { class: frame.kind }, el("span", { class: "dot", "aria-hidden": "true" }), frame.function,
  frame.file ? el("span", { class: "place" }, placeOf(frame.file, frame.line)) : null);
