// Numbers as people read them. A value of a record may be a word: NaN, Infinity.

export type Value = number | string | null | undefined;

export function asNumber(value: Value): number | null {
  return typeof value === "number" ? value : null;
}

// So many significant digits, without a row of zeros in front: 0.1274, 1.3e-5, 1,234.
export function number(value: Value, digits = 4): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 2).replace("e+", "e");
  if (size >= 10 ** (digits - 1)) return Math.round(value).toLocaleString("en");
  return value.toPrecision(digits);
}

export function percent(value: Value, digits = 1): string {
  if (typeof value !== "number") return value ?? "–";
  return `${(100 * value).toFixed(digits)} %`;
}

export function count(value: Value): string {
  if (typeof value !== "number") return value ?? "–";
  return value.toLocaleString("en");
}

const STEPS: [number, string][] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

export function rate(value: Value): string {
  if (typeof value !== "number") return "–";
  for (const [size, letter] of STEPS) {
    if (value >= size) return `${(value / size).toPrecision(3)} ${letter}`;
  }
  return value.toPrecision(3);
}

export function duration(seconds: Value): string {
  if (typeof seconds !== "number") return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

export function ago(seconds: number): string {
  if (seconds < 3) return `${seconds.toFixed(1)} s ago`;
  return `${duration(seconds)} ago`;
}

const pad = (n: number) => String(n).padStart(2, "0");
const clock = (date: Date) => `${pad(date.getHours())}:${pad(date.getMinutes())}`;

export function dated(at: number): string {
  const date = new Date(at * 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(date)}`;
}

// When, beside now: today a time, otherwise a date.
export function moment(at: Value): string {
  if (typeof at !== "number" || at <= 0) return "–";
  const date = new Date(at * 1000);
  return date.toDateString() === new Date().toDateString() ? clock(date) : dated(at);
}
