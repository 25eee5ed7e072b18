// The numbers behind each drawing, as a file has them: a head and its rows.

import type { Cells } from "../chart/save";
import type { Curve } from "./Curves";
import { bytes } from "./draw/canvas";
import type { Answers } from "./draw/plane";
import type { Layer, Net, Picture, Points, SurfaceFound } from "./types";

type Numbers = [string[], Cells[]];

// What each class, or a unit, answers at each place of the picture, the lowest row first.
export function regionsOf({ axes, columns, classes, along }: Points, picture: Picture, unit: Answers | null): Numbers {
  const n = unit ? unit.along : along;
  const place = (axis: number, i: number) => axes[axis]![0] + ((axes[axis]![1] - axes[axis]![0]) * i) / (n - 1);
  const shares = picture.regions.probabilities.map(bytes);
  const values = unit ? [Array.from(unit.values, (value) => (value - 128) / 127)] : shares.map((all) => Array.from(all, (share) => share / 255));
  const rows = values[0]!.map((_, i): Cells => [
    ...(columns.length === 1 ? [place(0, i)] : [place(0, i % n), place(1, Math.floor(i / n))]), ...values.map((all) => all[i]!),
  ]);
  return [[...columns, ...(unit ? ["answer, as a share of the largest"] : classes.map((name) => `probability of ${name}`))], rows];
}

// Each weight and the gradient of the next minibatch.
export function weightsOf({ layers }: Net): Numbers {
  const rows = layers.flatMap((layer, i) => layer.weight.flatMap((row, to) =>
    row.map((weight, from): Cells => [i + 1, from + 1, to + 1, weight, layer.gradient[to]![from] ?? null])));
  return [["layer", "from", "to", "weight", "gradient"], rows];
}

export function updatesOf(layers: Layer[]): Numbers {
  const rows = layers.map((layer, i): Cells => [i + 1, layer.weight_norm, layer.gradient_norm, layer.update_ratio]);
  return [["layer", "|W|", "|dL/dW|", "|dW|/|W|"], rows];
}

export function lossesOf({ us, vs, losses, labels }: SurfaceFound): Numbers {
  return [[...labels, "loss"], vs.flatMap((v, row) => us.map((u, column): Cells => [u, v, losses[row]![column] ?? null]))];
}

export function curvesOf(curves: Curve[]): Numbers {
  const head = curves.flatMap(({ name, band }) => [name, ...(band ? [`${name}, low`, `${name}, high`] : [])]);
  const rows = (curves[0]?.x ?? []).map((x, i): Cells => [
    x, ...curves.flatMap(({ values, band }) => [values[i] ?? null, ...(band ? band.map((one) => one[i] ?? null) : [])]),
  ]);
  return [["gradients asked for", ...head], rows];
}
