// The scales of colours of what is measured by layer.

import type { Look } from "../chart/Heatmap";

const logPlace = (low: number, high: number) => (value: number) =>
  value <= 0 ? 0 : (Math.log10(value) - low) / (high - low);

// Updates of about a thousandth of the weights are sound (lecture; A. Karpathy, CS231n): three
// times as small or as large is still within the band.
export const UPDATES: Look = {
  place: logPlace(-6, 0),
  light: ["#1d4f91", "#6f9fd8", "#dfe8f2", "#f3f3f1", "#f9dcc4", "#e07b39", "#8f2d04"],
  dark: ["#8dbdf5", "#4a78b3", "#2a3c55", "#24272c", "#54392a", "#b8602b", "#ffb07a"],
  ticks: [-6, -5, -4, -3, -2, -1, 0].map((p) => ({ at: (p + 6) / 6, text: p === 0 ? "1" : `1e${p}` })),
  band: [(Math.log10(1 / 3e3) + 6) / 6, (Math.log10(3 / 1e3) + 6) / 6],
  word: (value) => (value < 1e-4 ? "too small" : value > 1e-2 ? "large" : "sound"),
};

const BLUES = ["#f2f4f7", "#b9cfe8", "#6f9fd8", "#2f62ad", "#12305f"];
const BLUES_DARK = ["#20242a", "#2c4364", "#44719f", "#78a9e0", "#d3e6ff"];

export function sequential(low: number, high: number, log: boolean, word: (v: number) => string = () => ""): Look {
  const whole = (text: number) => (log ? `1e${text}` : String(+text.toPrecision(2)));
  const ends = log ? [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))] : [low, high];
  const [a, b] = [ends[0]!, ends[1]! > ends[0]! ? ends[1]! : ends[0]! + 1];
  const middle = log ? Math.round((a + b) / 2) : (a + b) / 2;
  const ticks = [...new Set([a, middle, b])].map((t) => ({ at: (t - a) / (b - a), text: whole(t) }));
  return {
    place: log ? logPlace(a, b) : (value) => (value - a) / (b - a),
    light: BLUES, dark: BLUES_DARK, ticks, word,
  };
}
