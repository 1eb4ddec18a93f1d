// Kinds of tasks: who used the CPU, and how sure that is.

const CLASSES = { async: "", blocking: " (blocking)", block_on: " (block_on)", callback: " (callback)" };

function showKinds() {
  const hasLives = report.kinds.some((row) => row.live_mean !== null);
  const columns = [
    { title: "cpu", number: true, value: (row) => row.cpu_ms, cell: (row) => ms(row.cpu_ms) },
    { title: "share", number: true, value: (row) => row.share, cell: (row) => shareCell(row.share) },
    { title: "interval", number: true, about: "the share is in it with 95 % certainty", value: (row) => row.interval[0], cell: (row) => row.interval.map((bound) => (bound * 100).toFixed(1)).join(" to ") },
    { title: "alive", number: true, about: "tasks alive, on average", value: (row) => row.alive, cell: (row) => (row.alive === null ? unknown() : mean(row.alive)) },
    { title: "waiting", number: true, about: "tasks that waited, on average", value: (row) => row.waiting, cell: (row) => mean(row.waiting) },
    { title: "tasks", number: true, about: "tasks seen", value: (row) => row.tasks, cell: (row) => (row.tasks === null ? unknown() : count(row.tasks)) },
    { title: "stalls", number: true, value: (row) => row.stalls, cell: (row) => count(row.stalls) },
    { title: "held", number: true, about: "how long its stalls held workers", value: (row) => row.stalled_us, cell: (row) => us(row.stalled_us) },
    { title: "kind", value: (row) => row.name, text: (row) => row.name, cell: (row) => path(row.name) },
  ].filter((column) => hasLives || !["alive", "waiting"].includes(column.title));
  const table = new Table(byId("kinds"), { label: "Kinds of tasks", columns, filter: "filter kinds", sorted: { index: 0, order: "descending" } });
  selection.follow((range) => table.show(kindRows(range), kindFeet(range, columns)));
  return table;
}

function kindRows(range) {
  const listed = report.kinds.length;
  const sums = wholeOf(range);
  const parts = partsOf(tables.kind_cpu, range, listed + 2);
  const waiting = tables.kind_waiting.sums(range, listed + 2);
  const stalls = Array.from({ length: listed + 1 }, () => ({ count: 0, us: 0 }));
  for (const index of stallsIn(range)) {
    const of = stalls[stallList.kind[index]];
    of.count += 1;
    of.us += stallList.us[index];
  }
  return report.kinds.map((row, index) => ({
    key: index,
    name: row.kind + CLASSES[row.class],
    waiting: waiting[index] / covered(range),
    ...(range.isWhole
      ? { cpu_ms: row.cpu_ms, share: row.cpu_share, interval: row.cpu_share_ci95, alive: row.live_mean, tasks: row.tasks_seen, stalls: row.stalls, stalled_us: row.stalled_ms * 1e3 }
      : { cpu_ms: parts[index].time / 1e3, share: parts[index].time / Math.max(1, sums.total), interval: interval(sums, parts[index]), alive: null, tasks: null, stalls: stalls[index + 1].count, stalled_us: stalls[index + 1].us }),
  }));
}

function kindFeet(range, columns) {
  const listed = report.kinds.length;
  const cpu = tables.kind_cpu.sums(range, listed + 2);
  const total = Math.max(1, range.sum(stretches.cpu_us));
  const foot = (name, us) => columns.map((column) => ({ cpu: duration(us * 1e3), share: percent(us / total), kind: name })[column.title]);
  const feet = [foot("[outside tasks]", cpu[listed])];
  const rest = data.rows.kinds - listed;
  if (rest > 0) feet.push(foot(`${of(rest, "kind", "kinds")} more, not listed here`, cpu[listed + 1]));
  return feet;
}
