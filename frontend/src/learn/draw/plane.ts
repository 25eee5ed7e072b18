// The plane: who wins where and how surely, what a unit answers, and the points.

import { type Sheet, type Surface, type Theme, begin, bytes, contour, image, mixed, packed, point } from "./canvas";
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
  const ringed = picture.batch.length <= MOST_RINGS && picture.lanes.length === 1 ? new Set(picture.batch) : new Set();
  const r = Math.max(2.4, Math.min(4.6, (sheet.width / 90) * Math.min(1, 14 / Math.sqrt(points.x.length))));
  for (const part of [1, 0]) { // hollow ones first: those that are learned from lie above
    points.x.forEach(([x, y], i) => {
      if (points.part[i] !== part) return;
      const across = ((x! - left) / (right - left)) * sheet.width;
      const up = sheet.height - ((y! - low) / (high - low)) * sheet.height;
      point(sheet, across, up, r, points.y[i]!, part === 1, ringed.has(i));
    });
  }
}

// A small picture of one of several lanes.
export function drawSmall(surface: Surface, points: Points, each: Each): void {
  const sheet = begin(surface);
  const [decided, likely] = [bytes(each.decided), bytes(each.likely)];
  const { paper, rgb } = sheet.theme;
  const regions = image(points.along_small, points.along_small, (i) =>
    packed(mixed(paper, rgb[decided[i]!]!, 0.12 + 0.5 * surer(likely[i]!, points.classes.length))));
  sheet.context.drawImage(regions, 0, 0, sheet.width, sheet.height);
}

// What a unit answers as an image: values from 1 to 255, of which 128 is zero.
export function unitImage({ values, along }: Answers, shades: Uint32Array): HTMLCanvasElement {
  return image(along, along, (i) => shades[values[i]!]!);
}

// The colour of each such value.
export function shadesOf({ paper, rgb: [above, below] }: Theme): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const share = (value - 128) / 127;
    return packed(mixed(paper, share < 0 ? below! : above!, Math.min(1, 0.85 * Math.abs(share))));
  });
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
  const { paper, rgb } = theme;
  const regions = image(n, n, (i) => {
    let [most, sum, r, g, b] = [0, 0, 0, 0, 0];
    for (let c = 0; c < shares.length; c++) {
      const share = shares[c]![i]!;
      if (share > most) most = share;
      sum += share;
      r += share * rgb[c]![0];
      g += share * rgb[c]![1];
      b += share * rgb[c]![2];
    }
    const depth = 0.1 + 0.42 * surer(most, shares.length);
    return packed(mixed(paper, [r / sum, g / sum, b / sum], sum ? depth : 0));
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
