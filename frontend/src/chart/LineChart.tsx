// Curves over one axis, as SVG: sharp in print, small, and a file of its own. The server thins
// curves out to what a screen shows, so there are never more points than an SVG can carry.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Domain, linear, logarithmic, nice, type Scale } from "./scale";
import { useWidth } from "./size";
import { Panel } from "./Panel";
import type { Cells } from "./save";

export interface Line {
  name: string;
  // A class of style.css: colour and dash tell lines apart, so that neither is needed alone.
  look: string;
  x: number[];
  y: (number | null)[];
  note?: string;
}

export interface Mark {
  x: number;
  y?: number | null;
  text: string;
}

export interface Props {
  title: string;
  about: string;
  lines: Line[];
  xLabel: string;
  xText?: (x: number) => string;
  wholeX?: boolean;
  yText: (y: number) => string;
  yTick?: (y: number) => string;
  low?: number;
  high?: number;
  marks?: Mark[];
  rules?: { y: number; text: string }[];
  fill?: [number, number];
  // Drawn below the lines: where the runs of a group lie.
  bands?: { look: string; x: number[]; low: (number | null)[]; high: (number | null)[] }[];
  canLog?: boolean;
  notesBelow?: boolean;
  height?: number;
  csv?: (() => void) | undefined;
  // Charts over the same axis move together.
  cursor: number | null;
  onCursor: (x: number | null) => void;
  range: Domain | null;
  onRange: (range: Domain | null) => void;
  empty?: string;
}

const LEFT = 52, RIGHT = 14, TOP = 10, BOTTOM = 34;

export function LineChart(props: Props) {
  const { lines, height = 232 } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const [asked, setLog] = useState<boolean | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const clip = useMemo(() => `plot-${Math.random().toString(36).slice(2)}`, []);
  const said = useRef<HTMLParagraphElement>(null);

  const whole = useMemo(() => domainOf(lines.flatMap((line) => [line.x[0], line.x.at(-1)])), [lines]);
  // Where most of a curve would lie on the axis, its powers of ten are shown, until one asks otherwise.
  const log = asked ?? (props.canLog === true && isSteep(lines));
  const shown: Domain = props.range ?? whole ?? [0, 1];
  const scales = useMemo(() => {
    const drawn = [...lines, ...(props.bands ?? []).flatMap(({ x, low, high }) => [{ x, y: low }, { x, y: high }])];
    const inside = drawn.flatMap((line) => line.y.filter((y, i) =>
      y !== null && line.x[i]! >= shown[0] && line.x[i]! <= shown[1])) as number[];
    const x = linear(shown[0] === shown[1] ? [shown[0] - 0.5, shown[1] + 0.5] : shown, LEFT,
      Math.max(LEFT + 10, width - RIGHT), Math.max(2, width / 90), props.wholeX);
    return { x, y: yScale(inside, log, props, height) };
  }, [lines, props.bands, shown[0], shown[1], width, log, height, props.low, props.high]);

  const paths = useMemo(() => lines.map((line) => pathOf(line, scales.x, scales.y, log)), [lines, scales]);
  const nothing = whole === null;
  const at = props.cursor === null || nothing ? null : Math.min(Math.max(props.cursor, shown[0]), shown[1]);
  const under = lines.map((line) => (at === null ? line.y.length - 1 : nearest(line.x, at)));
  const xText = props.xText ?? ((x: number) => String(+x.toPrecision(6)));

  const place = (event: PointerEvent) => {
    const left = svg.current!.getBoundingClientRect().left;
    return scales.x.back(Math.min(Math.max(event.clientX - left, LEFT), width - RIGHT));
  };
  const snap = (x: number) => {
    let best = x, least = Infinity;
    for (const line of lines) {
      const i = nearest(line.x, x);
      const distance = Math.abs((line.x[i] ?? Infinity) - x);
      if (distance < least) [least, best] = [distance, line.x[i]!];
    }
    return best;
  };
  const step = (by: number) => {
    const all = lines[0]?.x ?? [];
    if (!all.length) return;
    const now = at === null ? all.length - 1 : nearest(all, at);
    const next = all[Math.min(Math.max(now + by, 0), all.length - 1)]!;
    props.onCursor(next);
    say(next);
  };
  const say = (x: number) => {
    const values = lines.map((line) => `${line.name} ${textAt(line, nearest(line.x, x), props.yText)}`);
    said.current!.textContent = `${props.xLabel} ${xText(x)}: ${values.join(", ")}`;
  };
  const zoom = (factor: number) => {
    if (!whole) return;
    const middle = at ?? (shown[0] + shown[1]) / 2;
    const half = ((shown[1] - shown[0]) * factor) / 2;
    const next: Domain = [Math.max(whole[0], middle - half), Math.min(whole[1], middle + half)];
    props.onRange(next[0] <= whole[0] && next[1] >= whole[1] ? null : next);
  };
  const key = (event: KeyboardEvent) => {
    const steps = Math.max(1, Math.round((lines[0]?.x.length ?? 0) / 10));
    const keys: Record<string, () => void> = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1),
      PageUp: () => step(-steps), PageDown: () => step(steps),
      Home: () => step(-1e9), End: () => step(1e9),
      "+": () => zoom(0.5), "-": () => zoom(2), "0": () => props.onRange(null),
      Escape: () => { props.onRange(null); props.onCursor(null); },
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey) {
      keys[event.key]!();
      event.preventDefault();
    }
  };
  useEffect(() => {
    if (said.current && at === null) said.current.textContent = "";
  }, [at]);

  const table = (): [string[], Cells[]] => tableOf(lines, props.xLabel);
  return (
    <Panel title={props.title} about={props.about} svg={svg} table={table} csv={props.csv}
      log={props.canLog ? [log, setLog] : undefined} zoomed={props.range ? () => props.onRange(null) : undefined}>
      <ul class="legend">
        {lines.map((line, i) => (
          <li key={line.name}>
            <svg width="26" height="10" aria-hidden="true"><path class={`line ${line.look}`} d="M1 5H25" /></svg>
            <span>{line.name}</span>
            <b>{textAt(line, under[i]!, props.yText)}</b>
            {line.note && at === null && <span class="muted">{line.note}</span>}
          </li>
        ))}
        {at !== null && <li class="muted where">{props.xLabel} {xText(at)}</li>}
      </ul>
      <div ref={box} class="plot" style={{ height: `${height}px` }} tabIndex={0} role="group"
        aria-label={`${props.title}: arrow keys read the values, plus and minus zoom`} onKeyDown={key}>
        {nothing && <p class="empty">{props.empty ?? "nothing is recorded yet"}</p>}
        {!nothing && width > 0 && (
          <svg ref={svg} width={width} height={height} role="img" aria-label={props.about}
            onPointerMove={(event) => {
              const x = place(event);
              if (drag) setDrag([drag[0], x]);
              props.onCursor(snap(x));
            }}
            onPointerLeave={() => { props.onCursor(null); setDrag(null); }}
            onPointerDown={(event) => event.pointerType === "mouse" && event.button === 0 && setDrag([place(event), place(event)])}
            onPointerUp={() => {
              if (drag && Math.abs(scales.x.at(drag[0]) - scales.x.at(drag[1])) > 8) {
                props.onRange([Math.min(...drag), Math.max(...drag)]);
              }
              setDrag(null);
            }}
            onDblClick={() => props.onRange(null)}>
            <clipPath id={clip}><rect x={LEFT} y={TOP - 4} width={Math.max(0, width - LEFT - RIGHT + 4)} height={height - TOP - BOTTOM + 5} /></clipPath>
            <Axes scales={scales} width={width} height={height} xLabel={props.xLabel} yTick={props.yTick} />
            {props.rules?.map((rule) => inPlot(scales.y.at(rule.y), height) && (
              <g key={rule.text}>
                <line class="rule" x1={LEFT} x2={width - RIGHT} y1={scales.y.at(rule.y)} y2={scales.y.at(rule.y)} />
                <text class="note" x={width - RIGHT} y={scales.y.at(rule.y) - 4} text-anchor="end">{rule.text}</text>
              </g>
            ))}
            {props.fill && <path class="gap" clip-path={`url(#${clip})`} d={between(lines[props.fill[0]], lines[props.fill[1]], scales.x, scales.y)} />}
            {props.bands?.map((band, i) => (
              <path key={i} class={`gap ${band.look}`} clip-path={`url(#${clip})`} d={between({ name: "", look: "", x: band.x, y: band.low }, { name: "", look: "", x: band.x, y: band.high }, scales.x, scales.y)} />
            ))}
            {props.marks?.map((mark) => mark.x >= shown[0] && mark.x <= shown[1] && (
              <g key={mark.text}>
                <line class="mark" x1={scales.x.at(mark.x)} x2={scales.x.at(mark.x)} y1={TOP} y2={height - BOTTOM} />
                <text class="note" y={props.notesBelow ? height - BOTTOM - 8 : TOP + 8} {...beside(scales.x.at(mark.x), width)}>{mark.text}</text>
              </g>
            ))}
            {paths.map((d, i) => <path key={i} class={`line ${lines[i]!.look}`} clip-path={`url(#${clip})`} d={d} />)}
            {props.marks?.map((mark) => mark.y != null && Number.isFinite(scales.y.at(mark.y)) && mark.x >= shown[0] && mark.x <= shown[1] && (
              <circle key={mark.text} class="dot best" cx={scales.x.at(mark.x)} cy={scales.y.at(mark.y)} r="4" />
            ))}
            {at !== null && (
              <g data-screen-only>
                <line class="crosshair" x1={scales.x.at(at)} x2={scales.x.at(at)} y1={TOP} y2={height - BOTTOM} />
                {lines.map((line, i) => {
                  const y = line.y[under[i]!];
                  return y != null && Number.isFinite(scales.y.at(y)) && Math.abs(line.x[under[i]!]! - at) <= (shown[1] - shown[0]) / 20 && (
                    <circle key={i} class={`dot ${line.look}`} cx={scales.x.at(line.x[under[i]!]!)} cy={scales.y.at(y)} r="3.5" />
                  );
                })}
              </g>
            )}
            {drag && (
              <rect data-screen-only class="drag" y={TOP} height={height - TOP - BOTTOM}
                x={scales.x.at(Math.min(...drag))} width={Math.abs(scales.x.at(drag[1]) - scales.x.at(drag[0]))} />
            )}
          </svg>
        )}
        <p ref={said} class="only-heard" aria-live="polite" />
      </div>
    </Panel>
  );
}

interface Scales { x: Scale; y: Scale }

function Axes({ scales, width, height, xLabel, yTick }: {
  scales: Scales; width: number; height: number; xLabel: string; yTick?: ((y: number) => string) | undefined;
}) {
  const foot = height - BOTTOM;
  return (
    <g class="axes">
      {scales.y.ticks.map((tick) => (
        <g key={tick}>
          <line class="grid" x1={LEFT} x2={width - RIGHT} y1={scales.y.at(tick)} y2={scales.y.at(tick)} />
          <text x={LEFT - 8} y={scales.y.at(tick)} text-anchor="end" dominant-baseline="central">
            {yTick ? yTick(tick) : scales.y.text(tick)}
          </text>
        </g>
      ))}
      <line class="base" x1={LEFT} x2={width - RIGHT} y1={foot} y2={foot} />
      {scales.x.ticks.map((tick) => (
        <g key={tick}>
          <line class="base" x1={scales.x.at(tick)} x2={scales.x.at(tick)} y1={foot} y2={foot + 4} />
          <text x={scales.x.at(tick)} y={foot + 16} text-anchor="middle">{scales.x.text(tick)}</text>
        </g>
      ))}
      <text class="axis-name" x={width - RIGHT} y={height - 3} text-anchor="end">{xLabel}</text>
    </g>
  );
}

function yScale(values: number[], log: boolean, props: Props, height: number): Scale {
  const foot = height - BOTTOM;
  const wanted = Math.max(3, Math.round(height / 55));
  const positive = log ? values.filter((v) => v > 0) : values;
  let domain = domainOf(positive) ?? [0, 1];
  for (const rule of props.rules ?? []) {
    if (!log && rule.y <= domain[1] * 1.6) domain = [Math.min(domain[0], rule.y), Math.max(domain[1], rule.y)];
  }
  if (log) {
    const spread = domain[1] / domain[0] < 1.2 ? [domain[0] / 1.5, domain[1] * 1.5] : [domain[0] / 1.15, domain[1] * 1.15];
    return logarithmic(spread as Domain, foot, TOP);
  }
  if (props.low !== undefined) domain = [Math.min(props.low, domain[0]), domain[1]];
  const ends = { ...(props.low !== undefined && { low: props.low }), ...(props.high !== undefined && { high: props.high }) };
  return linear(nice(domain, wanted, ends), foot, TOP, wanted);
}

function domainOf(values: (number | null | undefined)[]): Domain | null {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

function pathOf(line: Line, x: Scale, y: Scale, log: boolean): string {
  let path = "", pen = false, points = 0;
  for (let i = 0; i < line.x.length; i++) {
    const value = line.y[i];
    if (value == null || (log && value <= 0)) {
      pen = false;
      continue;
    }
    path += `${pen ? "L" : "M"}${x.at(line.x[i]!).toFixed(1)} ${y.at(value).toFixed(1)}`;
    pen = true;
    points++;
  }
  // One point alone draws nothing: give it a length.
  return points === 1 ? `${path}h0.01` : path;
}

function between(a: Line | undefined, b: Line | undefined, x: Scale, y: Scale): string {
  if (!a || !b) return "";
  const there = (line: Line) => line.x.map((value, i) => [value, line.y[i]] as const)
    .filter((point): point is readonly [number, number] => point[1] != null && Number.isFinite(y.at(point[1])))
    .map(([px, py]) => `${x.at(px).toFixed(1)} ${y.at(py).toFixed(1)}`);
  const up = there(a), down = there(b).reverse();
  return up.length > 1 && down.length > 1 ? `M${up.join("L")}L${down.join("L")}Z` : "";
}

function nearest(sorted: number[], x: number): number {
  let low = 0, high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - sorted[low - 1]! <= sorted[low]! - x ? low - 1 : low;
}

function textAt(line: Line, i: number, text: (y: number) => string): string {
  const value = line.y[i];
  return value == null ? "–" : text(value);
}

function beside(x: number, width: number) {
  return x > width * 0.7 ? { x: x - 6, "text-anchor": "end" as const } : { x: x + 6, "text-anchor": "start" as const };
}

function isSteep(lines: Line[]): boolean {
  const values = lines.flatMap((line) => line.y.filter((y): y is number => y !== null && y > 0)).sort((a, b) => a - b);
  return values.length > 4 && values.at(-1)! > 8 * values[Math.floor(values.length / 2)]!;
}

function inPlot(y: number, height: number): boolean {
  return y >= TOP - 1 && y <= height - BOTTOM + 1;
}

function tableOf(lines: Line[], xLabel: string): [string[], Cells[]] {
  const rows = new Map<number, Cells>();
  lines.forEach((line, k) => line.x.forEach((x, i) => {
    const row = rows.get(x) ?? [x, ...lines.map(() => null)];
    row[k + 1] = line.y[i] ?? null;
    rows.set(x, row);
  }));
  return [[xLabel, ...lines.map((line) => line.name)], [...rows.keys()].sort((a, b) => a - b).map((x) => rows.get(x)!)];
}
