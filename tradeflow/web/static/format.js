// How values are written: prices and sizes as they came, digit by digit; times and durations for people.

export const SHAPES = { live: "●", syncing: "◌", stale: "▲", broken: "✖", unknown: "?", claiming: "◌", connecting: "◌", waiting: "▲", stopped: "✖" };

export const decimals = (number) => (number.includes(".") ? number.length - number.indexOf(".") - 1 : 0);

// With zeros behind it, so that points stand below each other; no digit is changed.
export function padded(number, places) {
  if (number === null || number === undefined) return "–";
  const missing = places - decimals(number);
  return missing > 0 ? number + (number.includes(".") ? "" : ".") + "0".repeat(missing) : number;
}

export const places = (numbers) => Math.max(0, ...numbers.map(decimals));

// An amount of money for people: at most so many decimals.  Where it matters, the exact one stands in the title.
export function short(number, digits = 4) {
  return decimals(number) > digits ? String(Number(Number(number).toFixed(digits))) : number;
}

export const signed = (number) => (Number(number) > 0 ? `+${short(number)}` : short(number));

export function ago(milliseconds) {
  if (milliseconds === null || !Number.isFinite(milliseconds)) return "–";
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "–";
  if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

export const clock = (nanoseconds) => {
  const date = new Date(nanoseconds / 1e6);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
};

export const count = (number) => number.toLocaleString("en-US");

export const percent = (text) => (text === null || text === undefined ? "–" : `${Number(text).toFixed(4)} %`);
