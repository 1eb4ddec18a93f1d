// Colours and labels of boxes: as in the SVGs (palette.rs, label.rs).

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark"
  || (getComputedStyle(document.documentElement).colorScheme !== "light"
    && matchMedia("(prefers-color-scheme: dark)").matches);

const spread = (byte) => byte / 127.5 - 1;

function hsl([hue, saturation, lightness, turn, lift], [low, high], dark) {
  let light = lightness + lift * spread(high);
  // Light boxes on a dark page would blind; dark ones would vanish.
  if (dark) light = light > 50 ? light * 0.84 : light + 6;
  return `hsl(${hue + turn * spread(low)} ${saturation * (dark ? 0.86 : 1)}% ${light}%)`;
}

const colorOf = (sort, name, dark) => hsl(sorts.rows[sort].ink, names.shade[name], dark);
const pureColor = (sort, dark) => hsl(sorts.rows[sort].ink, [127.5, 127.5], dark);
const isDeep = (sort) => sorts.rows[sort].ink[2] < 50;

function shorter(name, which) {
  const short = names.shorter[name][which];
  return typeof short === "number" ? (short === 0 ? "" : names.full[name].slice(-short)) : short;
}

// As much of a name as fits into so many letters.
function fitting(name, room) {
  const full = names.full[name];
  if (full.length <= room) return full;
  const longer = shorter(name, 0);
  if (longer.length <= room) return longer;
  const short = shorter(name, 1);
  if (short.length <= room) return short;
  return room < 3 ? "" : `${short.slice(0, room - 1)}…`;
}
