// Losses over gradients asked for: of one net both parts, of several each its own, of many a band.

import { useState } from "preact/hooks";
import { number } from "../format";
import { type LineStyle, laneStyle } from "./choices";
import { type Surface, begin, polyline, ticks } from "./draw/canvas";
import type { Pen } from "./draw/svg";
import { Drawing } from "./Drawing";
import { Choice, Swatch } from "./fields";
import { curvesOf as numbersOf } from "./numbers";
import type { Moment, Player } from "./player";
import type { Points } from "./types";

type What = "loss" | "accuracy";
type Values = (number | null)[];

export interface Curve {
  name: string;
  x: number[];
  values: Values;
  style: LineStyle;
  band?: [Values, Values];
}

const MOST_CURVES = 12;
const PAD = { left: 48, right: 12, top: 12, bottom: 44 };

export function Curves({ player }: { player: Player }) {
  const [what, setWhat] = useState<What>("loss");
  const [scale, setScale] = useState("linear");
  const { history, points } = player;
  if (!points) return null;
  const curves = curvesOf(history, what, points);
  const label = `${what} over gradients asked for: ${curves.map(({ name, values }) => `${name} ${number(values.at(-1), 3)}`).join(", ")}`;
  return (
    <div>
      <Drawing title={`Curves of ${what}`} class="curves-canvas" label={label} numbers={() => numbersOf(curves)}
        draw={(surface) => drawCurves(surface, curves, what, scale === "log", points.chance)}>
        <Choice label="Curves of" value={what} options={["loss", "accuracy"]} change={(value) => setWhat(value as What)} />
        {what === "loss" && <Choice label="Scale" value={scale} options={["linear", "log"]} change={setScale} />}
      </Drawing>
      <ul class="key">{curves.map(({ name, style }) => <li key={name}><Swatch style={style} /> {name}</li>)}</ul>
    </div>
  );
}

function curvesOf(history: Moment[], what: What, points: Points): Curve[] {
  const x = history.map((then) => then.samples);
  const count = points.names.length;
  const validated = history[0]?.lanes[0]?.validation_loss !== undefined;
  const of = (part: "train" | "validation", i: number) => history.map((then) => then.lanes[i]![`${part}_${what}`] ?? null);
  if (count > 1 && count <= MOST_CURVES) {
    return points.names.map((name, i) => ({ name, x, values: of("train", i), style: laneStyle(i) }));
  }
  const parts = (["train", "validation"] as const).slice(0, validated ? 2 : 1);
  return parts.map((part) => {
    const name = part === "train" ? "training" : "validation";
    const style = laneStyle(part === "train" ? 0 : 1);
    if (count === 1) return { name, x, values: of(part, 0), style };
    const sorted = history.map((then) => then.lanes.map((lane) => lane[`${part}_${what}`]).filter((v) => typeof v === "number").sort((a, b) => a - b));
    const at = (share: number) => sorted.map((all) => all[Math.round(share * (all.length - 1))] ?? null);
    return { name: `${name}: median, 80 % of seeds`, x, values: at(0.5), style, band: [at(0.1), at(0.9)] };
  });
}

function drawCurves(surface: Surface, curves: Curve[], what: What, log: boolean, chance: number): void {
  const { context, width, height, theme } = begin(surface);
  const [W, H] = [width - PAD.left - PAD.right, height - PAD.top - PAD.bottom];
  const most = Math.max(1, ...curves.map(({ x }) => x.at(-1) ?? 0));
  const logged = log && what === "loss";
  const [low, high] = range(curves, what, logged, chance);
  const scaled = (value: number) => (logged ? Math.log10(Math.max(value, low)) : value);
  const X = (x: number) => PAD.left + (x / most) * W;
  const Y = (value: number) => PAD.top + (1 - (scaled(Math.min(value, high)) - scaled(low)) / (scaled(high) - scaled(low) || 1)) * H;
  context.fillStyle = theme.muted;
  context.strokeStyle = theme.line;
  context.textAlign = "right";
  for (const tick of ticks(low, high, logged)) {
    polyline(context, [[PAD.left, Y(tick)], [width - PAD.right, Y(tick)]]);
    context.stroke();
    context.fillText(what === "accuracy" ? `${Math.round(100 * tick)} %` : number(tick, 2), PAD.left - 6, Y(tick) + 4);
  }
  context.textAlign = "center";
  for (const tick of ticks(0, most)) if (X(tick) < width - 24) context.fillText(tick.toLocaleString("en"), X(tick), height - PAD.bottom + 16);
  context.fillText("gradients asked for", PAD.left + W / 2, height - PAD.bottom + 34);
  if (what === "loss" && chance <= high) {
    context.strokeStyle = theme.muted;
    context.setLineDash([2, 4]);
    polyline(context, [[PAD.left, Y(chance)], [width - PAD.right, Y(chance)]]);
    context.stroke();
    context.textAlign = "left";
    context.fillText("log C: a guess", PAD.left + 6, Y(chance) - 5);
  }
  for (const { x, values, style, band } of curves) {
    const place = (list: Values): ([number, number] | null)[] =>
      list.map((value, i) => (value === null || (logged && value <= 0) ? null : [X(x[i]!), Y(value)]));
    if (band) fill(context, place(band[0]), place(band[1]), style.colour);
    context.setLineDash(style.dash);
    context.strokeStyle = style.colour;
    context.lineWidth = 2;
    polyline(context, place(values));
    context.stroke();
  }
}

function range(curves: Curve[], what: What, logged: boolean, chance: number): [number, number] {
  if (what === "accuracy") return [0, 1.02];
  const known = curves.flatMap(({ values, band }) => [...values, ...(band ?? []).flat()]).filter((value) => value !== null && (!logged || value > 0)) as number[];
  const largest = Math.max(1.05 * chance, ...known);
  if (logged) return [Math.min(0.5 * largest, ...known), 1.1 * largest];
  return [0, Math.min(1.03 * largest, 5 * chance)]; // a loss that explodes leaves the others to be seen
}

function fill(context: Pen, low: ([number, number] | null)[], high: ([number, number] | null)[], colour: string): void {
  context.beginPath();
  for (const place of [...high, ...[...low].reverse()]) if (place) context.lineTo(...place);
  context.fillStyle = colour;
  context.globalAlpha = 0.16;
  context.fill();
  context.globalAlpha = 1;
}
