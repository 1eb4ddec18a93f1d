// Everything together.

const state = { view: "cpu", group: "kind", runtime: false };

const flame = new Flame({
  canvas: byId("flame"), nothing: byId("flame-nothing"), tip: byId("tip"), told: byId("box"), onZoom: showCrumbs,
});

function showFlame() {
  const view = viewData[state.view];
  byId("flame-nothing").textContent = view.nothing;
  if (!view.trees) {
    byId("flame-about").textContent = VIEWS[state.view].about;
    flame.show(null, state.view);
    byId("legend").replaceChildren();
    search();
    return;
  }
  const tree = treeOf(state.view, state.runtime);
  const boxes = tree.boxes(state.group);
  boxes.measure(selection.range);
  if (boxes.total[0] === 0 && !selection.range.isWhole) byId("flame-nothing").textContent = "Nothing of this in the selected time.";
  byId("flame-about").textContent = aboutFlame(tree, boxes);
  flame.show(boxes, state.view);
  showLegend(boxes);
  search();
}

function aboutFlame(tree, boxes) {
  const view = VIEWS[state.view];
  const total = boxes.total[0];
  const facts = [view.about];
  if (total > 0) {
    const time = flameTime(total);
    facts.push({
      cpu: `${time} on CPU`,
      stall: `workers held ${time} in polls of ${said.threshold} or more`,
      wait: `${time} waiting: ${mean(total / covered(boxes.range))} tasks on average`,
      wall: `${time} of life: ${mean(total / covered(boxes.range))} tasks on average`,
    }[state.view]);
  }
  if (tree.cut > 0) facts.push(`${of(tree.cut, "box", "boxes")} below ${smallPercent(tree.cutShare)} ${tree.cut === 1 ? "is" : "are"} in their callers`);
  if (state.view === "stall" && stallList.more > 0 && !boxes.range.isWhole) facts.push(`${of(stallList.more, "stall", "stalls")} of which the moment was not kept ${stallList.more === 1 ? "is" : "are"} left out`);
  return facts.join(" · ");
}

const flameTime = (us) => (VIEWS[state.view].counted ? taskSeconds(us) : duration(us * 1e3));

function showLegend(boxes) {
  const dark = isDark();
  const seen = new Set(boxes.sort);
  byId("legend").replaceChildren(...sorts.rows.flatMap((sort, index) => {
    if (!seen.has(index) || index === ALL) return [];
    const chip = el("span", { class: "chip" });
    chip.style.background = pureColor(index, dark);
    const folded = sort.class === "runtime" && !state.runtime ? "runtime (folded into its caller)" : sort.legend;
    return el("li", {}, chip, folded);
  }));
}

function showCrumbs() {
  const { boxes, zoomed } = flame;
  const path = boxes ? boxes.path(zoomed) : [];
  byId("crumbs").replaceChildren(...(path.length < 2 ? [] : path.map((box) => {
    if (box === zoomed) return el("li", {}, el("span", { "aria-current": "true" }, boxes.title(box)));
    return el("li", {}, el("button", { type: "button", class: "link", title: boxes.title(box), onclick: () => flame.zoom(box) }, box === 0 ? "all" : shorter(boxes.name[box], 1)));
  })));
}

function search() {
  const text = byId("search").value.trim();
  const { boxes } = flame;
  if (!text || !boxes) {
    byId("search-said").textContent = "";
    flame.highlight(null);
    return;
  }
  const found = boxes.search(text);
  flame.highlight(found);
  byId("search-said").textContent = found.functions === 0
    ? "no function matches"
    : `${of(found.functions, "function matches", "functions match")}: ${percent(found.time / boxes.total[0])} of ${VIEWS[state.view].whole}`;
}

function showRange(range) {
  const all = seconds(stretches.duration_us);
  byId("range").classList.toggle("selected", !range.isWhole);
  byId("range-reset").hidden = range.isWhole;
  byId("range-text").textContent = range.isWhole
    ? `The whole recording, ${duration(stretches.duration_us * 1e3)}`
    : `From ${seconds(beginOf(range.from))} to ${seconds(beginOf(range.to))} of ${all}: ${duration(range.us * 1e3)}`;
}

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `theme: ${theme}`;
  byId("theme").onclick = () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  if (flame.boxes) {
    flame.redraw();
    showLegend(flame.boxes);
  }
}

function controls() {
  choice(byId("view"), Object.entries(VIEWS).map(([value, { title }]) => ({
    value, text: title, disabled: !viewData[value].trees, title: viewData[value].trees ? VIEWS[value].about : viewData[value].nothing,
  })), state.view, (view) => {
    state.view = view;
    showFlame();
  });
  choice(byId("group"), [{ value: "kind", text: "kind" }, { value: "none", text: "none" }], state.group, (group) => {
    state.group = group;
    showFlame();
  });
  byId("runtime").onclick = () => {
    state.runtime = !state.runtime;
    byId("runtime").setAttribute("aria-pressed", state.runtime);
    showFlame();
  };
  byId("search").oninput = search;
  byId("range-reset").onclick = () => selection.reset();
  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      byId("search").focus();
    } else if (event.key === "Escape" && !event.defaultPrevented) {
      if (isTyping) {
        event.target.value = "";
        event.target.dispatchEvent(new Event("input"));
      } else if (flame.zoomed !== 0) flame.zoom(0);
      else selection.reset();
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme ?? "auto"));
}

showHead();
controls();
setTheme("auto");
new Timeline(byId("timeline"));
selection.follow(showRange);
// The brush asks for more than a screen shows: once a frame is enough.
let isFirst = true;
const drawFlame = everyFrame(showFlame);
selection.follow(() => {
  if (isFirst) showFlame();
  else drawFlame();
  isFirst = false;
});
const revealed = { kinds: showKinds(), stalls: showStalls(), waits: showWaits(), locks: showLocks() };
showFunctions();
showWorkers();
showTasks();
showFindings((part, index) => {
  selection.reset();
  revealed[part]?.reveal(index);
});
