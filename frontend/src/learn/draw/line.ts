// One input: the probability of the last class along it, and the points at 0 and 1.

import { type Surface, begin, colours, bytes, point, polyline, ring, ticks } from "./canvas";
import { type LineStyle, laneStyle } from "../choices";
import { number } from "../../format";
import type { Picture, Points } from "../types";

const PAD = { left: 44, right: 14, top: 16, bottom: 40 };

export function drawLine(surface: Surface, points: Points, picture: Picture): void {
  const sheet = begin(surface);
  const { context, width, height, theme } = sheet;
  const [left, right] = points.axes[0]!;
  const last = points.classes.length - 1;
  const X = (x: number) => PAD.left + ((x - left) / (right - left)) * (width - PAD.left - PAD.right);
  const Y = (p: number) => PAD.top + (1 - p) * (height - PAD.top - PAD.bottom);
  context.fillStyle = theme.muted;
  context.strokeStyle = theme.line;
  context.textAlign = "right";
  for (const p of [0, 0.25, 0.5, 0.75, 1]) {
    polyline(context, [[X(left), Y(p)], [X(right), Y(p)]]);
    context.stroke();
    context.fillText(String(p), PAD.left - 7, Y(p) + 4);
  }
  context.textAlign = "center";
  for (const x of ticks(left, right)) context.fillText(number(x, 3), X(x), height - PAD.bottom + 18);
  context.fillText(points.columns[0]!, X((left + right) / 2), height - 6);
  context.textAlign = "left";
  context.fillText(`probability of ${points.classes[last]}`, PAD.left + 6, PAD.top - 4);
  for (const { shares, style } of curves(picture, last)) {
    context.setLineDash(style.dash);
    context.strokeStyle = style.colour;
    context.lineWidth = 2.4;
    polyline(context, shares.map((share, i) => [X(left + ((right - left) * i) / (shares.length - 1)), Y(share / 255)]));
    context.stroke();
  }
  context.setLineDash([]);
  const place = (i: number): [number, number] => [X(points.x[i]![0]!), Y(points.y[i] === last ? 1 : 0)];
  points.x.forEach((_, i) => point(sheet, ...place(i), 4, points.y[i]!, points.part[i] === 1));
  if (picture.lanes.length === 1 && picture.batch.length <= 64) for (const i of picture.batch) ring(sheet, ...place(i), 4);
}

// Of several lanes each has its own curve.
function curves(picture: Picture, last: number): { shares: number[]; style: LineStyle }[] {
  if (!picture.each || picture.each.length > 12) {
    const style = { colour: colours()[last]!, dash: [] };
    return [{ shares: [...bytes(picture.regions.probabilities[last]!)], style }];
  }
  return picture.each.map((each, lane) => {
    const [decided, likely] = [bytes(each.decided), bytes(each.likely)];
    const shares = Array.from(likely, (value, i) => (decided[i] === last ? value : 255 - value));
    return { shares, style: laneStyle(lane) };
  });
}
