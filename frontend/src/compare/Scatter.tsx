// Any setting against the measure: a dot a run, a dash for the mean where runs share a value.

import { useMemo, useRef } from "preact/hooks";
import { Panel } from "../chart/Panel";
import { useWidth } from "../chart/size";
import type { Entry } from "../table/store";
import { axisOf } from "./axis";
import { shownMetric } from "./ComparePage";
import { metricOf, METRICS, settingValue, text } from "./groups";

const LEFT = 62, RIGHT = 18, TOP = 10, BOTTOM = 36, HEIGHT = 300, MOST = 5000;

export function Scatter({ entries, settings, metric, chosen, choose }: {
  entries: Entry[]; settings: string[]; metric: string; chosen: string; choose: (name: string) => void;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const title = METRICS[metric]!.title;
  const points = useMemo(() => entries.map((entry) => ({ entry, x: settingValue(entry, chosen), y: metricOf(entry, metric) }))
    .filter((point) => point.y !== null).slice(0, MOST), [entries, chosen, metric]);
  const x = axisOf(points.map((point) => point.x), LEFT, Math.max(LEFT + 20, width - RIGHT), 6);
  const y = axisOf(points.map((point) => point.y), HEIGHT - BOTTOM, TOP, 5);
  const means = useMemo(() => {
    const sums = new Map<string, { x: typeof points[number]["x"]; all: number[] }>();
    for (const point of points) {
      const there = sums.get(text(point.x)) ?? { x: point.x, all: [] };
      there.all.push(point.y!);
      sums.set(text(point.x), there);
    }
    return [...sums.values()].filter((one) => one.all.length > 1).map((one) => ({ x: one.x, y: one.all.reduce((a, b) => a + b, 0) / one.all.length }));
  }, [points]);
  const about = `${title} over ${chosen}, a dot for each of ${points.length} runs`;
  return (
    <Panel title={`One setting against ${title}`} about={about} svg={svg}
      table={() => [[chosen, title], points.map((point) => [text(point.x), point.y])]}
      extra={<label class="muted"><span class="only-heard">setting</span><select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
        {[...settings, "seed"].map((name) => <option key={name}>{name}</option>)}
      </select></label>}>
      <div ref={box} class="plot">
        {width > 0 && (
          <svg ref={svg} width={width} height={HEIGHT} role="img" aria-label={about}>
            {y.ticks.map((tick) => (
              <g key={tick.text}>
                <line class="grid" x1={LEFT} x2={width - RIGHT} y1={tick.at} y2={tick.at} />
                <text x={LEFT - 8} y={tick.at} text-anchor="end" dominant-baseline="central">{metric.endsWith("_acc") ? `${+(100 * Number(tick.text)).toFixed(1)} %` : tick.text}</text>
              </g>
            ))}
            <line class="base" x1={LEFT} x2={width - RIGHT} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} />
            {x.ticks.map((tick) => <text key={tick.text} x={tick.at} y={HEIGHT - BOTTOM + 16} text-anchor="middle">{tick.text}</text>)}
            <text class="axis-name" x={width - RIGHT} y={HEIGHT - 4} text-anchor="end">{chosen}</text>
            {points.map((point, i) => {
              const [px, py] = [x.at(point.x), y.at(point.y)];
              return px !== null && py !== null && (
                <circle key={i} class="point" cx={px} cy={py} r="3.6"><title>{`${point.entry.name}: ${chosen} ${text(point.x)}, ${shownMetric(point.y, metric)}`}</title></circle>
              );
            })}
            {means.map((mean, i) => {
              const [px, py] = [x.at(mean.x), y.at(mean.y)];
              return px !== null && py !== null && <line key={i} class="mean" x1={px - 11} x2={px + 11} y1={py} y2={py}><title>{`mean ${shownMetric(mean.y, metric)}`}</title></line>;
            })}
          </svg>
        )}
      </div>
    </Panel>
  );
}
