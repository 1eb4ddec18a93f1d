// Stalls: which lines held the workers, and what to do about it.

function showStalls() {
  const section = byId("stalls");
  const about = byId("stalls-about");
  const held = `held their worker for ${said.threshold} or more`;
  if (report.runtimes.length === 0) {
    about.textContent = "not known: no async runtime was found in this process";
    return null;
  }
  if (report.stalls.length === 0) {
    about.textContent = `no poll ${held.replace("their", "its")}`;
    return null;
  }
  const table = new Table(section, {
    label: "Stalls",
    shown: 8,
    filter: "filter stalls",
    sorted: { index: 1, order: "descending" },
    columns: [
      { title: "count", number: true, value: (row) => row.count, cell: (row) => count(row.count) },
      { title: "total", number: true, value: (row) => row.total_us, cell: (row) => us(row.total_us) },
      { title: "median", number: true, value: (row) => row.median_us, cell: (row) => us(row.median_us) },
      { title: "max", number: true, value: (row) => row.max_us, cell: (row) => us(row.max_us) },
      { title: "cause, culprit and kind", value: (row) => row.text[0], text: (row) => row.text.join(" "), cell: (row, { opens }) => [
        opens(path(row.text[0])),
        el("div", { class: "under" }, row.text[1]),
        row.spot.advice ? el("div", { class: "advice" }, row.spot.advice) : null,
      ] },
    ],
    detail: (row) => stackList(row.spot.stack),
  });
  selection.follow((range) => {
    const rows = stallRows(range);
    const total = rows.reduce((sum, row) => sum + row.count, 0);
    about.textContent = total === 0
      ? `no poll ${held.replace("their", "its")} in the selected time`
      : `polls that ${held}${range.isWhole ? "" : ", and began in the selected time"}`;
    const feet = [];
    const rest = data.rows.stalls - report.stalls.length;
    if (rest > 0) feet.push(["", "", "", "", `${of(rest, "place", "places")} more, not listed here`]);
    if (stallList.more > 0 && !range.isWhole) feet.push(["", "", "", "", `${of(stallList.more, "stall", "stalls")} more of which the moment was not kept`]);
    table.show(rows, feet);
  });
  return table;
}

function stallRows(range) {
  const row = (spot, index) => ({ key: index, spot, text: said.stalls[index] });
  if (range.isWhole) {
    return report.stalls.map((spot, index) => ({
      ...row(spot, index), count: spot.count, total_us: spot.total_ms * 1e3, median_us: spot.p50_ms * 1e3, max_us: spot.max_ms * 1e3,
    }));
  }
  const lengths = report.stalls.map(() => []);
  for (const index of stallsIn(range)) lengths[stallList.spot[index]]?.push(stallList.us[index]);
  return report.stalls.map((spot, index) => {
    const sorted = lengths[index].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    return {
      ...row(spot, index),
      count: sorted.length,
      total_us: sorted.reduce((sum, us) => sum + us, 0),
      median_us: sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2,
      max_us: sorted[sorted.length - 1],
    };
  }).filter((row) => row.count > 0);
}
