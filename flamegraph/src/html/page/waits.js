// Where tasks wait, and the locks they wait for.

function showWaits() {
  const about = byId("waits-about");
  if (!hasSnapshots) {
    about.textContent = "not known: this recording took no snapshots of tasks";
    return null;
  }
  if (report.waits.length === 0) {
    about.textContent = "no task was seen";
    return null;
  }
  about.textContent = "tasks on average, and how long they were seen to stay";
  const stay = (row, which) => (row.stays === null ? "" : row.stays === undefined ? unknown() : row.stays[which]);
  const table = new Table(byId("waits"), {
    label: "Where tasks wait",
    shown: 8,
    filter: "filter await points",
    sorted: { index: 0, order: "descending" },
    columns: [
      { title: "tasks", number: true, about: "tasks that waited here, on average", value: (row) => row.tasks, cell: (row) => mean(row.tasks) },
      { title: "share", number: true, about: "of the waiting time of all tasks", value: (row) => row.share, cell: (row) => shareCell(row.share) },
      { title: "ready", number: true, about: "tasks that were woken here and waited for a worker, on average", value: (row) => row.ready, cell: (row) => mean(row.ready) },
      { title: "half stay", number: true, about: "half of the stays are at most so long", value: (row) => row.stayed?.p50 ?? null, cell: (row) => stay(row, 0) },
      { title: "most", number: true, about: "the longest stay", value: (row) => row.stayed?.max ?? null, cell: (row) => stay(row, 1) },
      { title: "what for, and where", value: (row) => row.text[0], text: (row) => row.text.join(" "), cell: (row, { opens }) => [
        opens(path(row.text[0])), el("div", { class: "under" }, row.text[1]),
      ] },
    ],
    detail: (row) => [
      row.wait.unmoved > 0 ? el("p", { class: "under" }, `${of(row.wait.unmoved, "task was", "tasks were")} not seen to move in the whole recording`) : null,
      stackList(row.wait.stack),
    ].filter(Boolean),
  });
  selection.follow((range) => {
    const rest = report.waits_total - report.waits.length;
    table.show(waitRows(range), rest > 0 ? [["", "", "", "", "", `${of(rest, "await point", "await points")} more, not listed here`]] : []);
  });
  return table;
}

function waitRows(range) {
  const row = (wait, index) => ({ key: index, wait, text: said.waits[index] });
  if (range.isWhole) {
    return report.waits.map((wait, index) => ({
      ...row(wait, index), tasks: wait.mean_tasks, share: wait.share, ready: wait.ready_mean, stays: said.stays[index], stayed: wait.stayed_ms,
    }));
  }
  const waiting = tables.wait_waiting.sums(range, report.waits.length);
  const ready = tables.wait_ready.sums(range, report.waits.length);
  const total = Math.max(1, tables.kind_waiting.sums(range, report.kinds.length + 2).reduce((sum, us) => sum + us, 0));
  return report.waits.map((wait, index) => ({
    ...row(wait, index), tasks: waiting[index] / covered(range), share: waiting[index] / total, ready: ready[index] / covered(range),
  })).filter((row) => row.tasks > 0 || row.ready > 0);
}

function showLocks() {
  const section = byId("locks");
  section.hidden = report.locks.length === 0;
  if (section.hidden) return null;
  const table = new Table(section, {
    label: "Locks",
    shown: 5,
    columns: [
      { title: "waiters", number: true, about: "on average", value: (row) => row.lock.waiters_mean, cell: (row) => mean(row.lock.waiters_mean) },
      { title: "most", number: true, value: (row) => row.lock.waiters_max, cell: (row) => count(row.lock.waiters_max) },
      { title: "waited for", number: true, about: "in what share of the snapshots somebody waited", value: (row) => row.lock.waited_share, cell: (row) => shareCell(row.lock.waited_share) },
      { title: "where, and who had it", value: (row) => row.at[0] ?? "", text: (row) => [...row.at, ...row.held].join(" "), cell: (row, { opens }) => [
        opens(path(row.at[0] ?? "a place not known")), el("div", { class: "under" }, heldBy(row)),
      ] },
    ],
    detail: (row) => {
      const places = (title, places) => places.map((place) => [el("p", { class: "under" }, `${title}, ${percent(place.share)}`), stackList(place.stack)]);
      return [...places("waited for at", row.lock.waited_at), ...places("held meanwhile at", row.lock.held_at)].flat();
    },
  });
  table.show(report.locks.map((lock, index) => ({ key: index, lock, at: said.locks[index], held: said.held[index] })));
  return table;
}

function heldBy({ lock, held }) {
  const unseen = lock.unseen_holder_share;
  if (held.length === 0) return "nobody was seen to hold it: whoever did was running, or is no task";
  const holders = lock.holders.length > 0 ? ` (last by task ${[...new Set(lock.holders)].join(", ")})` : "";
  return `held at ${held[0]}${holders}${unseen > 0 ? `; in ${percent(unseen)} of the snapshots nobody was seen to hold it` : ""}`;
}
