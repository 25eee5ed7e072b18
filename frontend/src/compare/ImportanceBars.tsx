// The share of the measure that each setting decides: alone, and with all interactions it is in.

import { useRef } from "preact/hooks";
import { Panel } from "../chart/Panel";
import { useWidth } from "../chart/size";
import { count, percent } from "../format";
import { METRICS } from "./groups";

export interface Importance {
  settings: { setting: string; alone: number; total: number }[];
  explained: number;
  runs: number;
}

const MOST = 12, ROW = 28, TOP = 4, FOOT = 34, RIGHT = 112;

export function ImportanceBars({ importance, metric }: { importance: Importance; metric: string }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const rows = importance.settings.slice(0, MOST);
  const left = Math.min(Math.max(40, 7.4 * Math.max(...rows.map((row) => row.setting.length)) + 14), 150);
  const at = (share: number) => left + share * Math.max(20, width - left - RIGHT);
  const foot = TOP + ROW * rows.length;
  const title = METRICS[metric]!.title;
  const about = `Share of what the settings decide about ${title}: ${rows.map((row) => `${row.setting} ${percent(row.alone, 0)} alone, ${percent(row.total, 0)} in all`).join("; ")}`;
  return (
    <Panel title="Importance of settings" about={about} svg={svg}
      table={() => [["setting", "alone", "in all"], importance.settings.map((row) => [row.setting, row.alone, row.total])]}>
      <div ref={box} class="plot">
        {width > 0 && (
          <svg ref={svg} width={width} height={foot + FOOT} role="img" aria-label={about}>
            {(width < 460 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => (
              <g key={share}>
                <line class={share ? "grid" : "base"} x1={at(share)} x2={at(share)} y1={TOP} y2={foot} />
                <text x={at(share)} y={foot + 16} text-anchor="middle">{percent(share, 0)}</text>
              </g>
            ))}
            {rows.map((row, i) => {
              const y = TOP + i * ROW + 5;
              const [alone, total] = [Math.min(row.alone, row.total), row.total];
              return (
                <g key={row.setting}>
                  <text class="value" x={left - 8} y={y + 9} text-anchor="end" dominant-baseline="central">{row.setting}</text>
                  <rect class="alone" x={left} y={y} width={at(alone) - left} height={ROW - 10} />
                  <rect class="together-bar" x={at(alone)} y={y + 0.5} width={at(Math.min(1, total)) - at(alone)} height={ROW - 11} />
                  <text class="value" x={at(Math.min(1, total)) + 7} y={y + 9} dominant-baseline="central">
                    {percent(alone, 0)}{total - alone >= 0.02 && `, ${percent(total, 0)} in all`}
                  </text>
                </g>
              );
            })}
          </svg>
        )}
      </div>
      <p class="muted">filled: alone, framed: with its interactions · {count(importance.runs)} runs; settings explain {percent(importance.explained, 0)} of how they differ in {title}</p>
    </Panel>
  );
}
