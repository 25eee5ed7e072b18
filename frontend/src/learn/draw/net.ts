// The net: a line for each weight, or its gradient, and a picture for each unit.

import { type Sheet, type Surface, begin, bytes, css, drawRows, polyline } from "./canvas";
import { shadesOf, unitImage } from "./plane";
import type { Layer, Net, Points, Unit } from "../types";

interface Place {
  x: number;
  y: number;
  size: number;
}

// Lines of less than this share of the layer's largest are left out.
const LEAST = 0.02;

// Where each unit is drawn: layers from left to right.
export function places(net: Net, width: number, height: number): Place[][] {
  const layers = net.units.length;
  const most = Math.max(...net.units.map((layer) => layer.count));
  const gap = Math.max(2, Math.min(10, 60 / most));
  const size = Math.max(5, Math.min(46, height / most - gap, (width / layers) * 0.5));
  return net.units.map((layer, i) => {
    const x = size / 2 + 8 + (i * (width - size - 16)) / Math.max(1, layers - 1);
    const step = Math.min(size + gap + 8, height / layer.count);
    return Array.from({ length: layer.count }, (_, k) => ({
      x, y: height / 2 + (k - (layer.count - 1) / 2) * step, size,
    }));
  });
}

export function unitAt(net: Net, width: number, height: number, x: number, y: number): Unit | null {
  for (const [i, layer] of places(net, width, height).entries()) {
    for (const [k, place] of layer.entries()) {
      const reach = place.size / 2 + 2;
      if (Math.abs(place.x - x) < reach && Math.abs(place.y - y) < reach) return [i, k];
    }
  }
  return null;
}

export function drawNet(surface: Surface, points: Points, net: Net, gradients: boolean, chosen: Unit | null): void {
  const sheet = begin(surface);
  const at = places(net, sheet.width, sheet.height);
  net.layers.forEach((layer, i) => drawWeights(sheet, layer, gradients, at[i]!, at[i + 1] ?? []));
  sheet.context.setLineDash([]);
  sheet.context.globalAlpha = 1;
  const shades = shadesOf(sheet.theme);
  net.units.forEach((layer, i) => {
    const values = bytes(layer.answers);
    const each = values.length / layer.count;
    const flat = points.columns.length === 1;
    const along = points.along_unit;
    // All units of a layer in one image: the first lies at its bottom.
    const images = flat ? null : unitImage({ values, along }, shades);
    at[i]!.forEach((place, k) => {
      const { size } = place;
      if (images) drawRows(sheet.context, images, (layer.count - 1 - k) * along, along, place.x - size / 2, place.y - size / 2, size);
      else drawAlong(sheet, values.subarray(k * each, (k + 1) * each), place);
      frame(sheet, place, chosen !== null && chosen[0] === i && chosen[1] === k);
    });
  });
}

function drawWeights({ context, theme }: Sheet, layer: Layer, gradients: boolean, from: Place[], to: Place[]): void {
  const matrix = gradients ? layer.gradient : layer.weight;
  const largest = Math.max(1e-30, ...matrix.flat().map((value) => Math.abs(value ?? 0)));
  matrix.forEach((row, k) => row.forEach((value, j) => {
    const share = Math.abs(value ?? 0) / largest;
    const [a, b] = [from[j], to[k]];
    if (share < LEAST || !a || !b) return;
    const [start, end] = [a.x + a.size / 2, b.x - b.size / 2];
    context.beginPath();
    context.moveTo(start, a.y);
    context.bezierCurveTo((start + end) / 2, a.y, (start + end) / 2, b.y, end, b.y);
    context.strokeStyle = theme.colours[value! < 0 ? 1 : 0]!;
    context.setLineDash(value! < 0 ? [5, 3] : []);
    context.globalAlpha = 0.2 + 0.75 * share;
    context.lineWidth = 0.4 + 3.6 * share;
    context.stroke();
  }));
}

// What a unit answers along the one input.
function drawAlong({ context, theme }: Sheet, values: Uint8Array, { x, y, size }: Place): void {
  const [left, top] = [x - size / 2, y - size / 2];
  context.fillStyle = css(theme.paper);
  context.fillRect(left, top, size, size);
  polyline(context, Array.from(values, (value, i) => [left + (i * size) / (values.length - 1), top + size - (value / 256) * size]));
  context.strokeStyle = theme.colours[0]!;
  context.lineWidth = 1.4;
  context.stroke();
}

function frame({ context, theme }: Sheet, { x, y, size }: Place, picked: boolean): void {
  context.strokeStyle = picked ? theme.ink : theme.muted;
  context.lineWidth = picked ? 2.5 : 1;
  context.strokeRect(x - size / 2, y - size / 2, size, size);
}
