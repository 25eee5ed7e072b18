// Layers down, time across, a quantity as colour. The colours say how far a value is from a band
// that is sound; the newest values stand beside the rows as numbers.

import { useMemo, useRef, useState } from "preact/hooks";
import { Panel } from "./Panel";
import { useWidth } from "./size";
import { linear } from "./scale";
import { number } from "../format";

export interface Grid {
  steps: number[];
  rows: { name: string; values: (number | null)[] }[];
}

export interface Look {
  // From a value to 0..1 on the scale of colours.
  place: (value: number) => number;
  // Places of the colours, light and dark: classes cannot colour pixels.
  light: string[];
  dark: string[];
  ticks: { at: number; text: string }[];
  band?: [number, number];
  word: (value: number) => string;
}

interface Props {
  title: string;
  about: string;
  grid: Grid;
  look: Look;
  wide?: boolean;
  extra?: preact.ComponentChildren;
  dark: boolean;
}

const RIGHT = 118, FOOT = 34, LATEST = 9;

export function Heatmap(props: Props) {
  const { grid, look } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const [at, setAt] = useState<[number, number] | null>(null);
  const longest = Math.max(...grid.rows.map((row) => row.name.length), 5);
  const left = Math.min(Math.max(40, 7.2 * longest + 14), width / 3);
  const rowHeight = Math.min(30, Math.max(12, Math.max(240, 15 * grid.rows.length) / Math.max(1, grid.rows.length)));
  const height = Math.round(rowHeight * grid.rows.length);
  const right = width < 420 ? 64 : RIGHT;
  const picture = useMemo(() => draw(grid, look, props.dark), [grid, look, props.dark]);
  const across = Math.max(10, width - left - right);
  const columns = grid.steps.length;
  const cell = across / Math.max(1, columns);
  const scale = linear([grid.steps[0] ?? 0, grid.steps.at(-1) ?? 1], left + cell / 2,
    left + across - cell / 2, Math.max(2, across / 110), true);
  const column = at ? at[1] : columns - 1;

  const move = (rows: number, steps: number) => {
    const [r, c] = at ?? [0, columns - 1];
    setAt([Math.min(Math.max(r + rows, 0), grid.rows.length - 1), Math.min(Math.max(c + steps, 0), columns - 1)]);
  };
  const key = (event: KeyboardEvent) => {
    const keys: Record<string, () => void> = {
      ArrowLeft: () => move(0, -1), ArrowRight: () => move(0, 1), ArrowUp: () => move(-1, 0),
      ArrowDown: () => move(1, 0), Home: () => move(0, -1e9), End: () => move(0, 1e9), Escape: () => setAt(null),
    };
    if (keys[event.key]) {
      keys[event.key]!();
      event.preventDefault();
    }
  };
  const values = (row: Grid["rows"][number]) => (at ? row.values[column] ?? null : median(row.values.slice(-LATEST)));
  const words = (value: number | null) => (value === null ? "–" : `${number(value, 2)} ${look.word(value)}`);
  const table = (): [string[], (number | string | null)[][]] => [
    ["step", ...grid.rows.map((row) => row.name)],
    grid.steps.map((step, i) => [step, ...grid.rows.map((row) => row.values[i] ?? null)]),
  ];
  return (
    <Panel title={props.title} about={props.about} svg={svg} table={table} wide={props.wide ?? false} extra={props.extra}>
      <div ref={box} class="plot" tabIndex={0} role="group" onKeyDown={key}
        aria-label={`${props.title}: arrow keys read the values of each layer and step`}>
        {!columns && <p class="empty">no layers were measured: several nets at once and runs of a sweep are not looked at by layer</p>}
        {columns > 0 && width > 0 && (
          <svg ref={svg} width={width} height={height + FOOT} role="img" aria-label={props.about}
            onPointerLeave={() => setAt(null)}
            onPointerMove={(event) => {
              const place = svg.current!.getBoundingClientRect();
              const c = Math.floor((event.clientX - place.left - left) / cell);
              const r = Math.floor((event.clientY - place.top) / rowHeight);
              const within = c >= 0 && c < columns && r >= 0 && r < grid.rows.length;
              setAt(within ? [r, c] : null);
            }}>
            <image href={picture} x={left} y="0" width={across} height={height} preserveAspectRatio="none" class="pixels" />
            {grid.rows.map((row, i) => (
              <g key={row.name} class={at?.[0] === i ? "chosen" : ""}>
                <text x={left - 8} y={(i + 0.5) * rowHeight} text-anchor="end" dominant-baseline="central">
                  {rowHeight >= 12 || i % 2 === 0 ? shorten(row.name, left) : ""}
                </text>
                {i > 0 && <line class="cut" x1={left} x2={left + across} y1={i * rowHeight} y2={i * rowHeight} />}
                <text class="value" x={left + across + 8} y={(i + 0.5) * rowHeight} dominant-baseline="central">
                  {width < 420 ? number(values(row), 2) : words(values(row))}
                </text>
              </g>
            ))}
            {scale.ticks.map((tick) => (
              <g key={tick}>
                <line class="base" x1={scale.at(tick)} x2={scale.at(tick)} y1={height} y2={height + 4} />
                <text x={scale.at(tick)} y={height + 16} text-anchor="middle">{scale.text(tick)}</text>
              </g>
            ))}
            <text class="axis-name" x={left + across} y={height + 31} text-anchor="end">step</text>
            <text class="axis-name" x={left - 8} y={height + 16} text-anchor="end">layer</text>
            {at && (
              <rect data-screen-only class="crosshair-cell" x={left + at[1] * cell} y={at[0] * rowHeight}
                width={Math.max(cell, 2)} height={rowHeight} />
            )}
          </svg>
        )}
        <p class="only-heard" aria-live="polite">
          {at ? `layer ${grid.rows[at[0]]?.name}, step ${grid.steps[at[1]]}: ${words(grid.rows[at[0]]?.values[at[1]] ?? null)}` : ""}
        </p>
      </div>
      {columns > 0 && <Key look={look} dark={props.dark} where={at ? `step ${grid.steps[at[1]]}` : `right: median of the last ${Math.min(LATEST, columns)}`} />}
    </Panel>
  );
}

function Key({ look, dark, where }: { look: Look; dark: boolean; where: string }) {
  const colours = dark ? look.dark : look.light;
  const id = useMemo(() => `key-${Math.random().toString(36).slice(2)}`, []);
  return (
    <div class="heat-key">
      <svg width="276" height="34" role="img" aria-label={`colours from ${look.ticks[0]!.text} to ${look.ticks.at(-1)!.text}`}>
        <defs>
          <linearGradient id={id}>
            {colours.map((colour, i) => <stop key={i} offset={`${(100 * i) / (colours.length - 1)}%`} stop-color={colour} />)}
          </linearGradient>
        </defs>
        <rect x="18" y="2" width="240" height="10" fill={`url(#${id})`} />
        {look.band && <path class="band" d={`M${18 + 240 * look.band[0]} 1V13H${18 + 240 * look.band[1]}V1`} />}
        {look.ticks.map((tick) => (
          <text key={tick.text} x={18 + 240 * tick.at} y="26" text-anchor="middle">{tick.text}</text>
        ))}
      </svg>
      <span class="muted">{look.band ? "bracket: a sound update · " : ""}{where}</span>
    </div>
  );
}

function draw(grid: Grid, look: Look, dark: boolean): string {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, grid.steps.length);
  canvas.height = Math.max(1, grid.rows.length);
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  const colours = (dark ? look.dark : look.light).map(parse);
  grid.rows.forEach((row, r) => row.values.forEach((value, c) => {
    if (value === null) return;
    const colour = mix(colours, Math.min(Math.max(look.place(value), 0), 1));
    image.data.set([...colour, 255], 4 * (r * canvas.width + c));
  }));
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function median(values: (number | null)[]): number | null {
  const there = values.filter((value): value is number => value !== null).sort((a, b) => a - b);
  return there[there.length >> 1] ?? null;
}

function parse(colour: string): number[] {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

// A colour between the ends of a scale, and how light it is (WCAG's relative luminance).
export function colourAt(colours: string[], place: number): { css: string; luminance: number } {
  const rgb = mix(colours.map(parse), place);
  const [r, g, b] = rgb.map((level) => (level <= 10 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4));
  return { css: `rgb(${rgb.join(",")})`, luminance: 0.2126 * r! + 0.7152 * g! + 0.0722 * b! };
}

function mix(colours: number[][], place: number): number[] {
  const at = place * (colours.length - 1);
  const i = Math.min(Math.floor(at), colours.length - 2);
  return colours[i]!.map((a, k) => Math.round(a + (at - i) * (colours[i + 1]![k]! - a)));
}

function shorten(name: string, width: number): string {
  const most = Math.max(3, Math.floor((width - 12) / 7));
  return name.length > most ? `…${name.slice(1 - most)}` : name;
}
