// Parallel coordinates: a thread a run, through each setting to the measure; the best tenth stands out.

import { useMemo, useRef } from "preact/hooks";
import { Panel } from "../chart/Panel";
import { useWidth } from "../chart/size";
import type { Entry } from "../table/store";
import { axisOf } from "./axis";
import { metricOf, METRICS, settingValue, text } from "./groups";

const HEIGHT = 300, TOP = 26, FOOT = 12, SIDE = 56, MOST = 600, MOST_AXES = 7;

export function Parallel({ entries, settings, metric }: { entries: Entry[]; settings: string[]; metric: string }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const { title, falls } = METRICS[metric]!;
  const names = settings.slice(0, width < 500 ? 3 : MOST_AXES);
  const shown = useMemo(() => {
    const sound = entries.filter((entry) => metricOf(entry, metric) !== null)
      .sort((a, b) => (falls ? 1 : -1) * (metricOf(a, metric)! - metricOf(b, metric)!));
    const good = Math.max(1, Math.ceil(sound.length / 10));
    const every = Math.ceil(sound.length / MOST);
    // The best ones last: they are drawn above the others.
    return sound.map((entry, i) => ({ entry, good: i < good })).filter((one, i) => one.good || i % every === 0).reverse();
  }, [entries, metric]);
  const columns = [...names, metric];
  const place = (i: number) => SIDE + (i * (width - 2 * SIDE)) / Math.max(1, columns.length - 1);
  const value = (entry: Entry, name: string) => (name === metric ? metricOf(entry, metric) : settingValue(entry, name));
  // What is better stands higher.
  const axes = columns.map((name) => axisOf(shown.map((one) => value(one.entry, name)),
    ...((name === metric && falls ? [TOP, HEIGHT - FOOT] : [HEIGHT - FOOT, TOP]) as [number, number]), 5));
  const about = `Each run as a line through ${names.join(", ")} to its ${title}; better is higher, the best tenth is drawn strongly`;
  return (
    <Panel title="All settings together" about={about} svg={svg}
      table={() => [columns, [...shown].reverse().map(({ entry }) => columns.map((name) => { const v = value(entry, name); return typeof v === "number" ? v : text(v); }))]}>
      <div ref={box} class="plot">
        {width > 0 && shown.length > 0 && (
          <svg ref={svg} width={width} height={HEIGHT} role="img" aria-label={about}>
            {shown.map(({ entry, good }) => {
              const points = columns.map((name, i) => [place(i), axes[i]!.at(value(entry, name))] as const).filter((p) => p[1] !== null);
              return <path key={entry.id} class={good ? "thread good" : "thread"} d={`M${points.map(([px, py]) => `${px.toFixed(1)} ${py!.toFixed(1)}`).join("L")}`} />;
            })}
            {columns.map((name, i) => (
              <g key={name}>
                <line class="base" x1={place(i)} x2={place(i)} y1={TOP} y2={HEIGHT - FOOT} />
                <text class="value" x={place(i)} y="14" text-anchor="middle">{name === metric ? title : name}</text>
                {axes[i]!.ticks.slice(0, 12).map((tick) => (
                  <text key={tick.text} class="halo" x={place(i) + (i === columns.length - 1 ? 6 : -6)} y={tick.at} dominant-baseline="central"
                    text-anchor={i === columns.length - 1 ? "start" : "end"}>{name.endsWith("_acc") ? `${+(100 * Number(tick.text)).toFixed(1)} %` : tick.text}</text>
                ))}
              </g>
            ))}
          </svg>
        )}
      </div>
      <p class="muted">strong: the best tenth; {falls ? "lower" : "higher"} {title} stands higher</p>
    </Panel>
  );
}
