// The 95 % interval of a share of the CPU time, for any part of the recording: as interval.rs does it
// for the whole, where the reasons stand.

const Z = 1.959963985;
const ENOUGH = 5;
const BURST = 6;

function wilson(share, samples, z) {
  const z2 = (z * z) / samples;
  const middle = (share + z2 / 2) / (1 + z2);
  const half = (z / (1 + z2)) * Math.sqrt((share * (1 - share)) / samples + z2 / (4 * samples));
  return [middle - half, middle + half];
}

// Abramowitz and Stegun, 26.7.5.
function student(v) {
  const [z, z3, z5, z7, z9] = [1, 3, 5, 7, 9].map((power) => Z ** power);
  return Z + (z3 + z) / (4 * v)
    + (5 * z5 + 16 * z3 + 3 * z) / (96 * v ** 2)
    + (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v ** 3)
    + (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * v ** 4);
}

// Sums over the stretches of a range.
function wholeOf(range) {
  const sums = { count: 0, samples: range.sum(stretches.samples), total: 0, squares: 0 };
  for (let at = range.from; at < range.to; at++) {
    const y = stretches.cpu_us[at];
    if (y === 0) continue;
    sums.count += 1;
    sums.total += y;
    sums.squares += y * y;
  }
  return sums;
}

// The same of each row, with their products with the whole.
function partsOf(cells, range, rows) {
  const parts = Array.from({ length: rows }, () => ({ time: 0, squares: 0, products: 0 }));
  for (let at = range.from; at < range.to; at++) {
    for (let cell = at === 0 ? 0 : cells.ends[at - 1]; cell < cells.ends[at]; cell++) {
      const x = cells.us[cell];
      const part = parts[cells.rows[cell]];
      part.time += x;
      part.squares += x * x;
      part.products += x * stretches.cpu_us[at];
    }
  }
  return parts;
}

function interval(sums, part) {
  if (sums.total <= 0 || sums.samples === 0) return [0, 1];
  const share = Math.min(1, part.time / sums.total);
  let bounds;
  if (sums.count < ENOUGH) {
    bounds = wilson(share, Math.max(1, sums.samples / BURST), Z);
  } else {
    const n = sums.count;
    const squares = part.squares - 2 * share * part.products + share * share * sums.squares;
    const variance = ((n / (n - 1)) * Math.max(0, squares)) / (sums.total * sums.total);
    const spread = share * (1 - share);
    const asGood = variance <= spread / sums.samples ? sums.samples : spread / variance;
    bounds = wilson(share, Math.min(sums.samples, Math.max(1, asGood)), student(n - 1));
  }
  return [Math.min(share, Math.max(0, bounds[0])), Math.max(share, Math.min(1, bounds[1]))];
}
