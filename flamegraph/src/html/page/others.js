// Functions, workers, tasks, and what the recording could not see.

const MOST_FUNCTIONS = 200;
const FINDINGS = 6;

function showFunctions() {
  const section = byId("functions");
  section.hidden = !viewData.cpu.trees || stretches.cpu_us.every((us) => us === 0);
  if (section.hidden) return;
  const tree = treeOf("cpu", false);
  const boxes = tree.boxes("kind");
  const table = new Table(section, {
    label: "Hot functions",
    filter: "filter functions",
    sorted: { index: 0, order: "descending" },
    columns: [
      { title: "cpu", number: true, value: (row) => row.us, cell: (row) => us(row.us) },
      { title: "share", number: true, value: (row) => row.share, cell: (row) => shareCell(row.share) },
      { title: "function", value: (row) => row.name, text: (row) => `${row.name} ${row.place}`, cell: (row) => [path(row.name), el("div", { class: "under" }, row.place)] },
    ],
  });
  selection.follow((range) => {
    const own = tree.cells.sums(range, tree.size);
    const total = Math.max(1, range.sum(stretches.cpu_us));
    const functions = new Map();
    for (let spot = 1; spot < tree.size; spot++) {
      if (own[spot] === 0 || tree.sort[spot] === GROUP) continue;
      const at = functions.get(tree.name[spot]) ?? { us: 0, best: 0, spot };
      at.us += own[spot];
      if (own[spot] > at.best) Object.assign(at, { best: own[spot], spot });
      functions.set(tree.name[spot], at);
    }
    const rows = [...functions].map(([name, { us, spot }]) => ({
      key: name, us, share: us / total, name: names.full[name], place: placeOf(names.files[tree.file[spot] - 1], tree.line[spot]),
    }));
    table.show(rows.sort((a, b) => b.us - a.us).slice(0, MOST_FUNCTIONS));
  });
  return boxes;
}

function showWorkers() {
  const section = byId("workers");
  section.hidden = report.workers.length === 0;
  if (section.hidden) return;
  const table = new Table(section, {
    label: "Workers",
    shown: 8,
    columns: [
      { title: "busy", number: true, value: (row) => row.busy, cell: (row) => shareCell(row.busy) },
      { title: "stalled", number: true, value: (row) => row.stalled, cell: (row) => shareCell(row.stalled) },
      { title: "tid", number: true, value: (row) => row.tid, cell: (row) => String(row.tid) },
      { title: "thread", value: (row) => row.thread, text: (row) => row.thread, cell: (row) => path(row.thread) },
    ],
  });
  const rest = data.rows.workers - report.workers.length;
  selection.follow((range) => {
    byId("workers-about").textContent = range.isWhole ? said.workers : "shares of the selected time";
    table.show(workerRows(range), rest > 0 ? [["", "", "", `${of(rest, "worker", "workers")} more, not listed here`]] : []);
  });
}

// As workers.rs counts: on a CPU, or asleep inside a poll; where not every such sleep was recorded, the
// long ones are known from the stalls.
function workerRows(range) {
  if (range.isWhole) return report.workers.map((row, key) => ({ key, busy: row.busy_share, stalled: row.stalled_share, tid: row.tid, thread: row.thread }));
  const rows = report.workers.length;
  const [exact, sampled, blocked] = [tables.worker_cpu, tables.worker_sampled, tables.worker_blocked].map((cells) => cells.sums(range, rows));
  const [stalled, offCpu] = [new Float64Array(rows + 1), new Float64Array(rows + 1)];
  for (const index of stallsIn(range)) {
    const worker = stallList.worker[index];
    stalled[worker] += stallList.us[index];
    if (report.stalls[stallList.spot[index]]?.cause !== "cpu") offCpu[worker] += stallList.us[index];
  }
  return report.workers.map((row, key) => ({
    key, tid: row.tid, thread: row.thread,
    busy: Math.min(1, ((exact[key] || sampled[key]) + Math.max(blocked[key], offCpu[key + 1])) / range.us),
    stalled: Math.min(1, stalled[key + 1] / range.us),
  }));
}

function showTasks() {
  const section = byId("tasks");
  section.hidden = report.tasks.length === 0;
  if (section.hidden) return;
  const table = new Table(section, {
    label: "Busiest tasks",
    shown: 5,
    filter: "filter tasks",
    sorted: { index: 0, order: "descending" },
    columns: [
      { title: "cpu", number: true, value: (row) => row.us, cell: (row) => us(row.us) },
      { title: "share", number: true, value: (row) => row.share, cell: (row) => shareCell(row.share) },
      { title: "task", number: true, value: (row) => Number(row.id) || 0, cell: (row) => row.id },
      { title: "kind", value: (row) => row.kind, text: (row) => `${row.id} ${row.kind}`, cell: (row) => path(row.kind) },
    ],
  });
  const rest = data.rows.tasks - report.tasks.length;
  selection.follow((range) => {
    const used = tables.task_cpu.sums(range, report.tasks.length);
    const total = Math.max(1, range.sum(stretches.cpu_us));
    const rows = report.tasks.map((row, key) => ({ key, id: row.id, kind: row.kind, us: used[key], share: used[key] / total }));
    table.show(rows.filter((row) => row.us > 0), rest > 0 ? [["", "", "", `${of(rest, "task", "tasks")} more, not listed here`]] : []);
  });
}

function showFindings(reveal) {
  const list = byId("findings");
  if (report.findings.length === 0) {
    list.replaceChildren(el("li", {}, el("span"), el("span", { class: "text" }, "Nothing stands out.")));
    return;
  }
  const items = report.findings.map((finding) => {
    const [, part, index] = /^(stalls|waits|locks|kinds)\[(\d+)\]$/.exec(finding.evidence) ?? [];
    const isShown = part && Number(index) < report[part].length;
    return el("li", {}, el("span", { class: `severity ${finding.severity}` }, finding.severity),
      el("span", { class: "text" }, `${finding.text} `, isShown ? el("button", { type: "button", class: "link", onclick: () => reveal(part, Number(index)) }, "show") : null));
  });
  const rest = items.length - FINDINGS;
  const more = el("button", { type: "button", class: "link", onclick: () => list.replaceChildren(...items) }, `Show ${count(rest)} more`);
  list.replaceChildren(...items.slice(0, FINDINGS), ...(rest > 0 ? [el("li", {}, el("span"), el("span", {}, more))] : []));
}

function showHead() {
  document.title = `${report.target.name || "awaitscope"}: awaitscope report`;
  byId("head").textContent = said.head;
  byId("facts").textContent = said.facts.join(" · ");
  // What samples could not see, and what snapshots could not.
  const isBad = (...fields) => report.findings.some((finding) => finding.severity !== "low" && fields.some((field) => finding.evidence === `quality.${field}`));
  const bad = [isBad("lost", "truncated", "unsymbolized_share"), isBad("torn_tasks", "unresolved")];
  byId("seen").append(...said.quality.map((text, index) => el("p", { class: bad[index] ? "bad" : "" }, text)));
  const quality = [...said.quality, ...report.quality.notes.map((note) => `note: ${note}`)];
  if (!hasSnapshots) quality.push("No snapshots of tasks were taken: where tasks wait, how many were alive or ready, and how long they waited for a worker is not known.");
  byId("quality").append(...quality.map((text) => el("p", {}, text)));
  byId("footer").textContent = `written by awaitscope ${data.version}; this file loads nothing from anywhere`;
}
