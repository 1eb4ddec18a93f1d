// From the spots of a view (a function at a line, below a caller) to the boxes that are drawn: those of
// the same name and sort below the same box are one.

const ALL = sorts.rows.findIndex((sort) => sort.class === "all");
const GROUP = sorts.rows.findIndex((sort) => sort.class === "group");

class Tree {
  constructor(columns) {
    const size = columns.up.length;
    this.size = size;
    this.parent = Int32Array.from(columns.up, (up, spot) => spot - up);
    this.name = columns.name;
    this.sort = columns.sort;
    this.file = columns.file;
    this.line = columns.line;
    this.cut = columns.cut;
    this.cutShare = columns.cut_share;
    this.cells = new Cells(columns.cells);
    this.groupings = new Map();
  }

  // The boxes by a grouping: worked out once.
  boxes(grouping) {
    if (!this.groupings.has(grouping)) this.groupings.set(grouping, new Boxes(this, grouping));
    return this.groupings.get(grouping);
  }
}

class Boxes {
  constructor(tree, grouping) {
    this.tree = tree;
    this.of = new Int32Array(tree.size);
    this.parent = [0];
    this.name = [tree.name[0]];
    this.sort = [tree.sort[0]];
    this.spots = [[0]];
    const known = new Map();
    for (let spot = 1; spot < tree.size; spot++) {
      const above = this.of[tree.parent[spot]];
      if (grouping === "none" && tree.sort[spot] === GROUP) {
        this.of[spot] = above;
        continue;
      }
      const key = `${above} ${tree.name[spot]} ${tree.sort[spot]}`;
      let box = known.get(key);
      if (box === undefined) {
        box = this.parent.push(above) - 1;
        this.name.push(tree.name[spot]);
        this.sort.push(tree.sort[spot]);
        this.spots.push([]);
        known.set(key, box);
      }
      this.of[spot] = box;
      this.spots[box].push(spot);
    }
    this.size = this.parent.length;
    this.arrange();
  }

  // Children stand from the widest to the narrowest of the whole recording, so that they keep their
  // places whatever part of it is selected; what is outside tasks stands last.
  arrange() {
    this.measure(whole);
    this.children = Array.from({ length: this.size }, () => []);
    for (let box = 1; box < this.size; box++) this.children[this.parent[box]].push(box);
    const isLast = (box) => this.sort[box] === GROUP && names.full[this.name[box]].startsWith("[");
    for (const children of this.children) {
      children.sort((a, b) => isLast(a) - isLast(b) || this.total[b] - this.total[a]);
    }
  }

  // Sums up a part of the recording.
  measure(range) {
    if (this.range === range) return;
    this.range = range;
    const { tree } = this;
    this.spotTotal = tree.cells.sums(range, tree.size);
    this.own = new Float64Array(this.size);
    for (let spot = 0; spot < tree.size; spot++) this.own[this.of[spot]] += this.spotTotal[spot];
    this.total = this.own.slice();
    for (let box = this.size - 1; box > 0; box--) this.total[this.parent[box]] += this.total[box];
    for (let spot = tree.size - 1; spot > 0; spot--) {
      this.spotTotal[tree.parent[spot]] += this.spotTotal[spot];
    }
  }

  title(box) {
    return names.full[this.name[box]];
  }

  path(box) {
    const path = [box];
    while (box !== 0) path.unshift((box = this.parent[box]));
    return path;
  }

  // Where a box stands in the source, the most time first.
  lines(box) {
    const lines = new Map();
    for (const spot of this.spots[box]) {
      const { file, line } = this.tree;
      if (file[spot] === 0 || this.spotTotal[spot] === 0) continue;
      const place = placeOf(names.files[file[spot] - 1], line[spot]);
      lines.set(place, (lines.get(place) ?? 0) + this.spotTotal[spot]);
    }
    return [...lines].sort((a, b) => b[1] - a[1]);
  }

  // Which boxes have the text in their name, how many functions that are, and how much time.
  search(text) {
    const wanted = text.toLowerCase();
    const hits = new Set();
    names.full.forEach((name, index) => name.toLowerCase().includes(wanted) && hits.add(index));
    const matched = new Uint8Array(this.size);
    const below = new Uint8Array(this.size);
    const functions = new Set();
    let time = 0;
    for (let box = 1; box < this.size; box++) {
      const parent = this.parent[box];
      below[box] = below[parent] || matched[parent];
      if (!hits.has(this.name[box])) continue;
      matched[box] = 1;
      if (this.total[box] > 0) functions.add(this.name[box]);
      // A match within a match has its time already.
      if (!below[box]) time += this.total[box];
    }
    return { matched, functions: functions.size, time };
  }
}

// The views of the profile, decoded when they are first looked at.
const VIEWS = {
  cpu: { title: "CPU", whole: "the CPU time", about: "CPU time by async stack", counted: false },
  wait: { title: "wait", whole: "the waiting time", about: "where tasks wait", counted: true },
  wall: { title: "wall", whole: "the life of tasks", about: "where the life of tasks goes", counted: true },
  stall: { title: "stall", whole: "the time workers were held", about: "stalls by the stack that held the worker", counted: false },
};
const viewData = Object.fromEntries(data.views.map((view) => [view.name, view]));
const decoded = new Map();

function treeOf(view, runtime) {
  const key = `${view} ${runtime}`;
  if (!decoded.has(key)) decoded.set(key, new Tree(viewData[view].trees[runtime ? 1 : 0]));
  return decoded.get(key);
}
