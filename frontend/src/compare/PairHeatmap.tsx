// The mean of the measure by two settings, over all others and the seeds; the stronger a colour, the better.

import { useRef } from "preact/hooks";
import { Panel } from "../chart/Panel";
import { colourAt } from "../chart/Heatmap";
import { useWidth } from "../chart/size";
import { number, type Value } from "../format";
import { sequential } from "../run/looks";
import { useDark } from "../theme";
import { shownMetric } from "./ComparePage";
import { METRICS } from "./groups";

// As the server has them: rows upwards, columns to the right.
export interface Cells {
  x: string;
  y: string;
  columns: string[];
  rows: string[];
  means: Value[][];
  counts: number[][];
  runs: number[][];
  low: number;
  high: number;
}

const FOOT = 38;

export function PairHeatmap({ heatmaps, metric, x, y, choose }: {
  heatmaps: Record<string, Cells>; metric: string; x: string | null; y: string | null; choose: (changes: Record<string, string>) => void;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const dark = useDark();
  const names = [...new Set(Object.keys(heatmaps).flatMap((pair) => pair.split(" ")))];
  const across = names.includes(x ?? "") ? x! : names[0]!;
  const up = names.includes(y ?? "") && y !== across ? y! : names.find((name) => name !== across)!;
  const cells = heatmaps[`${across} ${up}`] ?? turned(heatmaps[`${up} ${across}`]!);
  const { falls, title } = METRICS[metric]!;
  const look = sequential(cells.low, cells.high > cells.low ? cells.high : cells.low + 1, false);
  const colours = dark ? look.dark : look.light;
  const good = (mean: number) => {
    const share = Math.min(1, Math.max(0, (mean - cells.low) / (cells.high - cells.low || 1)));
    return falls ? 1 - share : share;
  };
  const left = Math.min(Math.max(36, 7.2 * Math.max(...cells.rows.map((row) => row.length)) + 14), 130);
  const cell = Math.max(8, Math.min(92, (width - left - 8) / cells.columns.length));
  const height = cell < 34 ? 26 : 36;
  const foot = height * cells.rows.length;
  const every = Math.ceil((7.2 * Math.max(...cells.columns.map((column) => column.length)) + 6) / cell);
  // Where all cells are of as many runs, that is said once.
  const sizes = new Set(cells.counts.flatMap((row, r) => row.map((n, c) => `${n} ${cells.runs[r]![c]}`)));
  const alike = sizes.size === 1 && cells.counts[0]![0] === cells.runs[0]![0];
  const about = `Mean ${title} by ${cells.x}, across, and ${cells.y}, up, over all other settings and seeds`;
  const choice = (name: string, now: string) => (
    <select aria-label={name === "x" ? "setting across" : "setting up"} value={now} onChange={(event) => {
      const wanted = event.currentTarget.value;
      const other = name === "x" ? up : across;
      choose({ [name]: wanted, [name === "x" ? "y" : "x"]: wanted === other ? now : other });
    }}>{names.map((one) => <option key={one}>{one}</option>)}</select>
  );
  return (
    <Panel title="Two settings" about={about} svg={svg} extra={<>{choice("x", across)}<span aria-hidden="true">×</span>{choice("y", up)}</>}
      table={() => [[cells.x, cells.y, `mean ${title}`, "runs with a value", "runs"], cells.rows.flatMap((row, r) =>
        cells.columns.map((column, c) => [column, row, valueOf(cells.means[r]![c]), cells.counts[r]![c]!, cells.runs[r]![c]!]))]}>
      <div ref={box} class="plot">
        {width > 0 && (
          <svg ref={svg} width={width} height={foot + FOOT} role="img" aria-label={about}>
            {cells.rows.map((row, r) => {
              const top = foot - (r + 1) * height;
              return (
                <g key={row}>
                  <text x={left - 8} y={top + height / 2} text-anchor="end" dominant-baseline="central">{row}</text>
                  {cells.columns.map((column, c) => {
                    const mean = valueOf(cells.means[r]![c]);
                    const [n, of] = [cells.counts[r]![c]!, cells.runs[r]![c]!];
                    const middle = left + (c + 0.5) * cell;
                    const colour = mean === null ? null : colourAt(colours, good(mean));
                    // Below this white is read more easily than black.
                    const strong = colour !== null && (colour.luminance < 0.18) !== dark;
                    return (
                      <g key={column}>
                        <rect class={mean === null ? "no-mean" : ""} x={left + c * cell + 0.5} y={top + 0.5} width={cell - 1} height={height - 1}
                          {...(colour && { fill: colour.css })}>
                          <title>{`${across} ${column}, ${up} ${row}: ${mean === null ? "none" : shownMetric(mean, metric)}, ${n} of ${of} runs`}</title>
                        </rect>
                        {mean !== null && cell >= 34 && (
                          <text class={strong ? "on-dark" : "value"} x={middle} y={top + (alike ? height / 2 : 14)} text-anchor="middle" dominant-baseline="central">{metric.endsWith("_acc") ? (100 * mean).toFixed(1) : number(mean, 3)}</text>
                        )}
                        {!alike && cell >= 34 && of > 0 && (
                          <text class={strong ? "on-dark of-cell" : "value of-cell"} x={middle} y={top + 28} text-anchor="middle" dominant-baseline="central">{n < of ? `${n} of ${of}` : `${n} run${n === 1 ? "" : "s"}`}</text>
                        )}
                      </g>
                    );
                  })}
                </g>
              );
            })}
            {cells.columns.map((column, c) => c % every === 0 && (
              <text key={column} x={left + (c + 0.5) * cell} y={foot + 15} text-anchor="middle">{column}</text>
            ))}
            <text class="axis-name" x={left + cell * cells.columns.length} y={foot + 32} text-anchor="end">{cells.x}</text>
            <text class="axis-name" x={left - 8} y={foot + 15} text-anchor="end">{cells.y}</text>
          </svg>
        )}
      </div>
      <p class="muted">mean {title}{metric.endsWith("_acc") && " in %"}{alike && ` of ${cells.runs[0]![0]} runs each`}; the stronger the colour, the better{cells.means.flat().some((mean) => valueOf(mean) === null) && "; dashed: no run has a value"}</p>
    </Panel>
  );
}

function valueOf(mean: Value): number | null {
  return typeof mean === "number" ? mean : null; // NaN is a word
}

function turned(cells: Cells): Cells {
  const flip = <T,>(rows: T[][]): T[][] => rows[0]!.map((_, c) => rows.map((row) => row[c]!));
  return {
    ...cells, x: cells.y, y: cells.x, columns: cells.rows, rows: cells.columns,
    means: flip(cells.means), counts: flip(cells.counts), runs: flip(cells.runs),
  };
}
