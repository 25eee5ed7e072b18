// Axes: where a number lies, and which numbers are written beside the axis.

export type Domain = [number, number];

export interface Scale {
  at(value: number): number;
  back(place: number): number;
  ticks: number[];
  text(tick: number): string;
}

const pretty = (span: number, wanted: number): number => {
  const raw = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((f) => f * power >= raw * 0.999) ?? 10;
  return factor * power;
};

export function linear([low, high]: Domain, from: number, to: number, wanted: number, whole = false): Scale {
  const span = high - low || 1;
  let step = pretty(span, wanted);
  if (whole) step = Math.max(1, Math.round(step));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const ticks = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    at: (value) => from + ((value - low) / span) * (to - from),
    back: (place) => low + ((place - from) / (to - from)) * span,
    ticks,
    text: (tick) => compact(tick, digits),
  };
}

export function logarithmic([low, high]: Domain, from: number, to: number): Scale {
  const a = Math.log10(low);
  const b = Math.log10(high);
  const span = b - a || 1;
  const powers: number[] = [];
  const every = Math.max(1, Math.ceil(span / 6));
  for (let p = Math.ceil(a - 1e-9); p <= Math.floor(b + 1e-9); p += every) powers.push(10 ** p);
  const ticks = powers.length >= 2
    ? powers
    : [1, 2, 5].flatMap((f) => [a - 1, a, b].map((p) => f * 10 ** Math.floor(p)))
      .filter((t, i, all) => t >= low && t <= high && all.indexOf(t) === i).sort((x, y) => x - y);
  return {
    at: (value) => from + ((Math.log10(value) - a) / span) * (to - from),
    back: (place) => 10 ** (a + ((place - from) / (to - from)) * span),
    ticks,
    text: (tick) => (tick >= 0.001 && tick < 10000 ? String(+tick.toPrecision(3)) : tick.toExponential(0).replace("e+", "e")),
  };
}

// A domain whose ends are ticks, so that lines do not touch the frame.
export function nice([low, high]: Domain, wanted: number, ends: { low?: number; high?: number } = {}): Domain {
  if (!(high > low)) {
    const half = Math.abs(low) / 2 || 0.5;
    [low, high] = [low - half, high + half];
  }
  const step = pretty(high - low, wanted);
  const down = Math.floor(low / step + 1e-9) * step;
  const up = Math.ceil(high / step - 1e-9) * step;
  return [Math.max(down, ends.low ?? -Infinity), Math.min(up, ends.high ?? Infinity)];
}

function compact(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(4)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)}k`;
  if (size !== 0 && size < 1e-4) return value.toExponential(0).replace("e+", "e");
  return value.toFixed(Math.min(digits, 6));
}
