// The loss over a plane in the space of weights, the deeper the lower, with lines of equal loss and paths.

import { type Surface, begin, contour, css, image, mixed, packed, polyline } from "./canvas";
import type { LineStyle } from "../choices";
import type { SurfaceFound } from "../types";

const LEVELS = 12;

export function drawSurface(surface: Surface, found: SurfaceFound, styles: LineStyle[]): void {
  const sheet = begin(surface);
  const { context, width, height, theme } = sheet;
  const [columns, rows] = [found.us.length, found.vs.length];
  const logs = found.losses.flat().map((loss) => (loss === null ? NaN : Math.log(loss + 1e-4)));
  const known = logs.filter(Number.isFinite).sort((a, b) => a - b);
  const low = known[0] ?? 0;
  const high = known[Math.floor(0.97 * (known.length - 1))] ?? 1;
  const ground = image(columns, rows, (i) => {
    const share = Math.min(1, Math.max(0, (logs[i]! - low) / (high - low || 1)));
    return packed(Number.isFinite(logs[i]) ? mixed(theme.rgb[0]!, theme.paper, 0.25 + 0.75 * share) : theme.paper);
  });
  context.drawImage(ground, 0, 0, width, height);
  context.beginPath();
  for (let level = 1; level < LEVELS; level++) {
    const at = low + ((high - low) * level) / LEVELS;
    contour(sheet, logs.map((value) => value - at), columns, rows);
  }
  context.strokeStyle = theme.muted;
  context.globalAlpha = 0.5;
  context.lineWidth = 0.8;
  context.stroke();
  context.globalAlpha = 1;
  const U = (u: number) => ((u - found.us[0]!) / (found.us.at(-1)! - found.us[0]!)) * width;
  const V = (v: number) => height - ((v - found.vs[0]!) / (found.vs.at(-1)! - found.vs[0]!)) * height;
  found.paths.forEach((path, i) => {
    const { colour, dash } = styles[i % styles.length]!;
    polyline(context, path.map(([u, v]) => [U(u), V(v)]));
    context.strokeStyle = css(theme.paper);
    context.lineWidth = 4;
    context.stroke();
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.stroke();
    context.setLineDash([]);
    const [u, v] = path.at(-1)!;
    context.beginPath();
    context.arc(U(u), V(v), 5, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.strokeStyle = css(theme.paper);
    context.stroke();
  });
}
