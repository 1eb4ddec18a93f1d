// What the file holds, and the part of the recording that is selected.

const data = JSON.parse(byId("data").textContent);
const { report, said, stretches, names, sorts } = data;
const hasSnapshots = report.quality.snapshots > 0;

// Times of rows by stretch: `ends` says where the cells of each stretch end, and a last one where
// those end of which no moment is known.
class Cells {
  constructor({ ends, rows, us }) {
    this.ends = ends;
    this.rows = Int32Array.from(rows);
    this.us = Float64Array.from(us);
    let cell = 0;
    for (const end of ends) {
      for (let row = 0; cell < end; cell++) this.rows[cell] = row += this.rows[cell];
    }
  }

  // Where the cells of a range begin and end.
  bounds(range) {
    const begin = range.from === 0 ? 0 : this.ends[range.from - 1];
    return [begin, this.ends[range.isWhole ? this.ends.length - 1 : range.to - 1]];
  }

  // The time of each of `rows` rows.
  sums(range, rows) {
    const sums = new Float64Array(rows);
    const [begin, end] = this.bounds(range);
    for (let cell = begin; cell < end; cell++) sums[this.rows[cell]] += this.us[cell];
    return sums;
  }
}

// The moment at which a stretch begins, in microseconds.
const beginOf = (stretch) => Math.min(stretch * stretches.width_us, stretches.duration_us);

class Range {
  constructor(from, to) {
    this.from = from;
    this.to = to;
    this.isWhole = from === 0 && to === stretches.count;
  }

  get us() {
    return Math.max(1, beginOf(this.to) - beginOf(this.from));
  }

  // The sum of a column over the range.
  sum(column) {
    let sum = 0;
    for (let at = this.from; at < this.to; at++) sum += column[at] ?? 0;
    return sum;
  }

  holds(us) {
    return us >= this.from * stretches.width_us && us < this.to * stretches.width_us;
  }
}

const whole = new Range(0, stretches.count);
const selection = {
  range: whole,
  followers: [],
  select(from, to) {
    from = Math.max(0, Math.min(from, stretches.count - 1));
    to = Math.max(from + 1, Math.min(to, stretches.count));
    if (from === this.range.from && to === this.range.to) return;
    this.range = new Range(from, to);
    for (const follow of this.followers) follow(this.range);
  },
  reset() {
    this.select(0, stretches.count);
  },
  // Calls now, and whenever another part is selected.
  follow(follow) {
    this.followers.push(follow);
    follow(this.range);
  },
};

const tables = Object.fromEntries(
  Object.entries(data.tables).map(([name, cells]) => [name, cells.ends ? new Cells(cells) : cells]));

const stallList = tables.stalls;

// The stalls that began in the range, by number.
function stallsIn(range) {
  const within = [];
  for (let index = 0; index < stallList.us.length; index++) {
    if (range.isWhole || range.holds(stallList.start_us[index])) within.push(index);
  }
  return within;
}

const placeOf = (file, line) => (file ? (line ? `${file}:${line}` : file) : "");
