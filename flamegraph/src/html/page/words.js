// Numbers as the text report writes them (printable.rs).

const fixed = (value, digits) => value.toFixed(digits);

function duration(ns) {
  if (ns <= 0) return "0";
  if (ns >= 59.95e9) {
    const seconds = Math.round(ns / 1e9);
    const minutes = Math.floor(seconds / 60);
    const two = (number) => String(number).padStart(2, "0");
    return minutes >= 60
      ? `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`
      : `${minutes} min ${two(seconds % 60)} s`;
  }
  const [value, unit] =
    ns >= 999.5e6 ? [ns / 1e9, "s"] : ns >= 999.5e3 ? [ns / 1e6, "ms"] : [ns / 1e3, "µs"];
  return `${fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
}

const ms = (milliseconds) => duration(Math.round(milliseconds * 1e6));
const us = (microseconds) => duration(microseconds * 1e3);

function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function mean(number) {
  return number >= 99.95 ? count(number) : fixed(number, number >= 9.995 ? 1 : 2);
}

function taskSeconds(microseconds) {
  const seconds = microseconds / 1e6;
  const digits = seconds >= 99.95 ? 0 : seconds >= 9.995 ? 1 : seconds >= 0.9995 ? 2 : 3;
  return `${seconds >= 999.5 ? count(seconds) : fixed(seconds, digits)} task-seconds`;
}

function percent(share) {
  return `${fixed(share * 100, share * 100 < 99.95 ? 1 : 0)} %`;
}

const of = (number, one, more) => `${count(number)} ${number === 1 ? one : more}`;

// A share that is too small for a digit still is not nothing.
function smallPercent(share) {
  return share > 0 && share < 0.0005 ? `${(share * 100).toPrecision(1)} %` : percent(share);
}
