// The plane: who wins where and how surely, what a unit answers, and the points.

import { type Sheet, type Surface, type Theme, begin, bytes, contour, image, layer, mixed, packed, point, ring } from "./canvas";
import type { Each, Picture, Points } from "../types";

// More of them than this are not ringed: the rings would hide the points.
const MOST_RINGS = 64;

export interface Answers {
  values: Uint8Array;
  along: number;
}

// unit: what a unit answers, in place of the classes.
export function drawPlane(surface: Surface, points: Points, picture: Picture, unit: Answers | null): void {
  const sheet = begin(surface);
  if (unit) drawField(sheet, unit);
  else drawRegions(sheet, points, picture);
  const [[left, right], [low, high]] = points.axes as [[number, number], [number, number]];
  const r = Math.max(2.4, Math.min(4.6, (sheet.width / 90) * Math.min(1, 14 / Math.sqrt(points.x.length))));
  const place = ([x, y]: number[]): [number, number] =>
    [((x! - left) / (right - left)) * sheet.width, sheet.height - ((y! - low) / (high - low)) * sheet.height];
  layer(sheet, points, (on) => {
    for (const part of [1, 0]) { // hollow ones first: those that are learned from lie above
      points.x.forEach((at, i) => {
        if (points.part[i] === part) point(on, ...place(at), r, points.y[i]!, part === 1);
      });
    }
  });
  if (picture.batch.length > MOST_RINGS || picture.lanes.length > 1) return;
  for (const i of picture.batch) ring(sheet, ...place(points.x[i]!), r);
}

// A small picture of one of several lanes.
export function drawSmall(canvas: HTMLCanvasElement, points: Points, each: Each): void {
  const sheet = begin(canvas);
  const [decided, likely] = [bytes(each.decided), bytes(each.likely)];
  const shades = points.classes.map((_, c) => surenessOf(sheet.theme, c, points.classes.length));
  const regions = image(points.along_small, points.along_small, (i) => shades[decided[i]!]![likely[i]!]!);
  sheet.context.drawImage(regions, 0, 0, sheet.width, sheet.height);
}

const sureness = new Map<string, Uint32Array>();

// The colour of a class by how likely it is, as a share of 255.
function surenessOf({ paper, rgb }: Theme, c: number, classes: number): Uint32Array {
  const key = `${paper} ${c} ${classes}`;
  const there = sureness.get(key);
  if (there) return there;
  const made = Uint32Array.from({ length: 256 }, (_, likely) => packed(mixed(paper, rgb[c]!, 0.12 + 0.5 * surer(likely, classes))));
  sureness.set(key, made);
  return made;
}

// What a unit answers as an image: values from 1 to 255, of which 128 is zero.
export function unitImage({ values, along }: Answers, shades: Uint32Array): HTMLCanvasElement {
  return image(along, values.length / along, (i) => shades[values[i]!]!);
}

const known = new WeakMap<Theme, Uint32Array>();

// The colour of each such value.
export function shadesOf(theme: Theme): Uint32Array {
  const there = known.get(theme);
  if (there) return there;
  const { paper, rgb: [above, below] } = theme;
  const made = Uint32Array.from({ length: 256 }, (_, value) => {
    const share = (value - 128) / 127;
    return packed(mixed(paper, share < 0 ? below! : above!, Math.min(1, 0.85 * Math.abs(share))));
  });
  known.set(theme, made);
  return made;
}

// From 0 for a guess among C classes to 1 for certainty; likely is a share of 255.
function surer(likely: number, classes: number): number {
  const guess = 255 / classes;
  return Math.max(0, likely - guess) / (255 - guess);
}

function drawRegions(sheet: Sheet, points: Points, picture: Picture): void {
  const { context, width, height, theme } = sheet;
  const n = points.along;
  const shares = picture.regions.probabilities.map(bytes);
  const { paper: [red, green, blue], rgb } = theme;
  const regions = image(n, n, (i) => {
    let [most, sum, r, g, b] = [0, 0, 0, 0, 0];
    for (let c = 0; c < shares.length; c++) {
      const share = shares[c]![i]!;
      const colour = rgb[c]!;
      if (share > most) most = share;
      sum += share;
      r += share * colour[0];
      g += share * colour[1];
      b += share * colour[2];
    }
    if (!sum) return packed(theme.paper);
    const depth = 0.1 + 0.42 * surer(most, shares.length);
    const [own, other] = [depth / sum, 1 - depth];
    return ((b * own + blue * other + 0.5) << 16) | ((g * own + green * other + 0.5) << 8) | (r * own + red * other + 0.5);
  });
  context.drawImage(regions, 0, 0, width, height);
  const ahead = new Float32Array(n * n);
  context.beginPath();
  shares.forEach((mine, c) => {
    for (let i = 0; i < n * n; i++) {
      let other = 0;
      for (let d = 0; d < shares.length; d++) if (d !== c) other = Math.max(other, shares[d]![i]!);
      ahead[i] = mine[i]! - other + 0.01;
    }
    contour(sheet, ahead, n, n);
  });
  border(sheet);
}

function drawField(sheet: Sheet, unit: Answers): void {
  sheet.context.drawImage(unitImage(unit, shadesOf(sheet.theme)), 0, 0, sheet.width, sheet.height);
  sheet.context.beginPath();
  contour(sheet, Float32Array.from(unit.values, (value) => value - 127.99), unit.along, unit.along);
  border(sheet);
}

function border({ context, theme }: Sheet): void {
  context.strokeStyle = theme.ink;
  context.lineWidth = 1.25;
  context.stroke();
}
