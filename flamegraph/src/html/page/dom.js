// Elements. Text only ever comes in as text: names are the target's, and hostile.

const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// A path of names, which may be broken between them.
function path(text) {
  const parts = text.split(/(?<=::|\/)/);
  return el("code", {}, parts.flatMap((part, index) => (index === 0 ? [part] : [el("wbr"), part])));
}

// One of several, by mouse or by arrow keys (the WAI-ARIA radio group).
function choice(group, options, chosen, choose) {
  const buttons = options.map(({ value, text, title, disabled }) =>
    el("button", { type: "button", role: "radio", title, disabled, "data-value": value, onclick: () => set(value) }, text));
  function set(value) {
    mark(value);
    choose(value);
  }
  function mark(value) {
    for (const button of buttons) {
      const on = button.dataset.value === value;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
  }
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const open = buttons.filter((button) => !button.disabled);
    const next = open[(open.indexOf(document.activeElement) + step + open.length) % open.length];
    next.focus();
    set(next.dataset.value);
  });
  group.replaceChildren(...buttons);
  mark(chosen);
}

// Runs at most once a frame, however often it is asked for.
function everyFrame(run) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      run();
    });
  };
}
