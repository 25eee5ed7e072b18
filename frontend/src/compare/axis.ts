// An axis for a setting or a measure: numbers, their powers of ten where they span many, or words.

import { linear, logarithmic, nice, type Domain } from "../chart/scale";
import type { Value } from "../format";
import { text } from "./groups";

export interface Axis {
  at: (value: Value) => number | null;
  ticks: { at: number; text: string }[];
  words: boolean;
}

const MOST_VALUES = 8;

// Whether names at these places do not overlap: those of columns are wider than high.
function apart(places: number[], length: number): boolean {
  const sorted = [...places].sort((a, b) => a - b);
  return sorted.every((place, i) => i === 0 || place - sorted[i - 1]! > Math.max(13, length / 16));
}

export function axisOf(values: Value[], from: number, to: number, wanted: number): Axis {
  const numbers = values.filter((value): value is number => typeof value === "number");
  const distinct = [...new Set(values.map(text))];
  if (numbers.length < values.length || distinct.length < 2) {
    const sorted = distinct.sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1));
    const place = (word: string) => from + ((sorted.indexOf(word) + 0.5) / sorted.length) * (to - from);
    return { at: (value) => place(text(value)), ticks: sorted.map((word) => ({ at: place(word), text: word })), words: true };
  }
  const domain: Domain = [Math.min(...numbers), Math.max(...numbers)];
  const log = domain[0] > 0 && domain[1] / domain[0] > 20;
  const scale = log ? logarithmic([domain[0] / 1.2, domain[1] * 1.2], from, to) : linear(nice(domain, wanted), from, to, wanted);
  return {
    at: (value) => (typeof value === "number" && (!log || value > 0) ? scale.at(value) : null),
    // Of few values each is told: they are what was tried.
    ticks: distinct.length <= MOST_VALUES && apart([...new Set(numbers)].map(scale.at), Math.abs(to - from))
      ? [...new Set(numbers)].map((value) => ({ at: scale.at(value), text: text(value) }))
      : scale.ticks.map((tick) => ({ at: scale.at(tick), text: scale.text(tick) })),
    words: false,
  };
}
