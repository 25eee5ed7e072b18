// Runs beside each other: what differs in their recipes first, curves with seed bands second, then
// every setting against a measure. The address holds all that was chosen.

import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../api";
import { isFile } from "../embedded";
import { LineChart, type Line } from "../chart/LineChart";
import type { Domain } from "../chart/scale";
import { count, number, percent, type Value } from "../format";
import { go, type Query } from "../route";
import { type Table, numbers } from "../run/model";
import type { Entry, State as Runs } from "../table/store";
import { beyondNoise, type Group, groupsOf, METRICS, settingsOf, text } from "./groups";
import { Parallel } from "./Parallel";
import { Scatter } from "./Scatter";
import { SweepSettings } from "./SweepSettings";

const MOST_LINES = 8, MOST_ROWS = 60;
const CURVES: Record<string, string> = {
  val_loss: "validation loss", train_loss: "training loss", val_acc: "validation accuracy", train_acc: "training accuracy",
};

export function ComparePage({ runs, query }: { runs: Runs; query: Query }) {
  const sweep = query.get("sweep");
  const asked = query.get("runs") ?? "";
  const metric = METRICS[query.get("metric") ?? ""] ? query.get("metric")! : "val_loss";
  const set = (changes: Record<string, string | null>) => go("compare", query, changes);
  const entries = useMemo(() => {
    if (sweep) return runs.entries.filter((entry) => entry.sweep === sweep);
    const ids = new Set(asked.split(",").map(decodeURIComponent).filter(Boolean));
    return runs.entries.filter((entry) => ids.has(entry.id));
  }, [runs.entries, sweep, asked]);
  const groups = useMemo(() => groupsOf(entries, metric), [entries, metric]);
  const settings = useMemo(() => settingsOf(entries), [entries]);
  if (!entries.length) {
    return <main class="page"><h1 class="only-heard">Compare</h1><Choose runs={runs} /></main>;
  }
  const swept = sweep ? runs.sweeps.get(sweep) : undefined;
  const title = sweep ? swept?.name ?? "sweep" : `${count(entries.length)} runs`;
  return (
    <main class="page">
      <header class="run-head">
        <nav aria-label="Where you are"><a href="#/runs">Runs</a> <span aria-hidden="true">/</span> <span>Compare</span></nav>
        <div class="title"><h1>{title}</h1>
          {groups.length < entries.length && <span class="muted">{sweep && `${count(entries.length)} runs, `}{count(groups.length)} settings, seeds together</span>}
          <span class="age"><label for="measure">by</label> <select id="measure" value={metric} onChange={(event) => set({ metric: event.currentTarget.value })}>
            {Object.entries(METRICS).map(([name, one]) => <option key={name} value={name}>{one.title}</option>)}
          </select></span>
        </div>
      </header>
      <Differences groups={groups} settings={settings} metric={metric} />
      <SeedCurves groups={groups} query={query} set={set} />
      {swept && swept.varies.length > 1 && <SweepSettings key={sweep} sweep={swept} metric={metric} query={query} set={set} />}
      {settings.length > 0 && (
        <section aria-labelledby="settings-title">
          <div class="section-head"><h2 id="settings-title">Settings</h2></div>
          <div class="grid">
            <Scatter entries={entries} settings={settings} metric={metric} chosen={query.get("setting") ?? settings[0]!} choose={(name) => set({ setting: name })} />
            <Parallel entries={entries} settings={settings} metric={metric} />
          </div>
        </section>
      )}
    </main>
  );
}

function Choose({ runs }: { runs: Runs }) {
  if (!runs.ready) return <p class="empty" role="status">reading the folder …</p>;
  return (
    <div class="empty">
      <p>Choose runs in the <a href="#/runs">table</a> (its boxes, or the space bar), or a sweep:</p>
      {[...runs.sweeps.values()].map((sweep) => <p key={sweep.id}><a href={`#/compare?sweep=${sweep.id}`}>{sweep.name}</a></p>)}
    </div>
  );
}

export function shownMetric(value: Value, metric: string): string {
  return metric.endsWith("_acc") ? percent(value, 2) : number(value);
}

// Of shares in points of a percent, as the shares themselves are shown.
function shownDifference(value: number, metric: string): string {
  return metric.endsWith("_acc") ? `${(100 * value).toFixed(1)} pt` : number(value, 2);
}

function Differences({ groups, settings, metric }: { groups: Group[]; settings: string[]; metric: string }) {
  const best = groups[0]!;
  const seeds = groups.some((group) => group.runs.length > 1);
  return (
    <section class="panel" aria-labelledby="differences-title">
      <header><h2 id="differences-title">What differs, the best first</h2></header>
      <div class="numbers" tabIndex={0} role="region" aria-label="What differs, group by group">
        <table class="compared">
          <thead><tr>
            <th scope="col">{groups.length > 1 && seeds ? "curve" : "run"}</th>
            {settings.map((name) => <th key={name} scope="col">{name}</th>)}
            <th scope="col">{METRICS[metric]!.title}</th>
            {seeds && <><th scope="col">± seeds</th><th scope="col">runs</th><th scope="col">behind the best</th></>}
          </tr></thead>
          <tbody>
            {groups.slice(0, MOST_ROWS).map((group, i) => (
              <tr key={group.name + i} class={i === 0 ? "first" : ""}>
                <td>{i < MOST_LINES && <svg class="key-cell" viewBox="0 0 26 10" aria-hidden="true"><path class={`line s${i}`} d="M1 5H25" /></svg>}
                  {group.runs.length === 1 ? <a href={group.runs[0]!.link}>{shortName(group.runs[0]!)}</a> : ""}</td>
                {settings.map((name) => <td key={name}>{text(group.settings[name])}</td>)}
                <td>{shownMetric(group.mean, metric)}</td>
                {seeds && <><td>{group.std === null ? "–" : shownDifference(group.std, metric)}</td><td>{group.runs.length}</td><td>{i === 0 ? "" : <Noise best={best} other={group} metric={metric} />}</td></>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {groups.length > MOST_ROWS && <p class="muted">the best {MOST_ROWS} of {count(groups.length)}</p>}
      {seeds && <p class="muted">Behind the best: mean of the differences between runs of the same seed, and its 95 % interval (paired t). ≈ where the interval has 0: seeds alone may have made it.</p>}
    </section>
  );
}

function shortName(entry: Entry): string {
  return entry.sweep ? `trial ${entry.trial}, seed ${entry.seed}` : entry.name;
}

function Noise({ best, other, metric }: { best: Group; other: Group; metric: string }) {
  const found = beyondNoise(best, other, metric);
  if (!found) return <span class="muted">too few seeds</span>;
  const sure = Math.abs(found.difference) > found.half;
  return (
    <span class={sure ? "" : "muted"} title={sure ? "more than seed noise" : "within seed noise"}>
      {sure ? "" : "≈ "}{found.difference > 0 ? "+" : ""}{shownDifference(found.difference, metric)} ± {shownDifference(found.half, metric)}
      <span class="only-heard">{sure ? ", more than seed noise" : ", within seed noise"}</span>
    </span>
  );
}

function SeedCurves({ groups, query, set }: { groups: Group[]; query: Query; set: (changes: Record<string, string | null>) => void }) {
  const [found, setFound] = useState<Record<string, Table>>({});
  const [cursor, setCursor] = useState<number | null>(null);
  const [range, setRange] = useState<Domain | null>(null);
  const curve = CURVES[query.get("curve") ?? ""] ? query.get("curve")! : "val_loss";
  const drawn = groups.slice(0, MOST_LINES);
  const wanted = drawn.flatMap((group) => group.runs.slice(0, 24).map((run) => run.id)).join(",");
  useEffect(() => {
    if (wanted) get<Record<string, Table>>(`/api/curves?runs=${encodeURIComponent(wanted)}`).then(setFound, () => undefined);
  }, [wanted]);
  const lacking = isFile ? wanted.split(",").filter((id) => !found[id]).length : 0;
  const { lines, bands } = useMemo(() => bandsOf(drawn, found, curve), [wanted, found, curve]);
  const shares = curve.endsWith("_acc");
  return (
    <section aria-labelledby="curves-title">
      <div class="section-head">
        <h2 id="curves-title">Curves</h2>
        <label class="muted">of <select value={curve} onChange={(event) => set({ curve: event.currentTarget.value })}>
          {Object.entries(CURVES).map(([name, title]) => <option key={name} value={name}>{title}</option>)}
        </select></label>
        <p class="muted hint">{lacking > 0 && `the file lacks the curves of ${count(lacking)} of these runs · `}{groups.length > MOST_LINES && `the best ${MOST_LINES} of ${count(groups.length)} · `}{bands.length > 0 && "line: mean over seeds, band: from the lowest to the highest"}</p>
      </div>
      <LineChart title={shares ? "Accuracy" : "Loss"} lines={lines} bands={bands} height={340} xLabel="epoch, from 0" wholeX canLog={!shares}
        {...(shares && { high: 1 })} yText={(y) => (shares ? percent(y, 2) : number(y))} {...(shares && { yTick: (y: number) => `${+(100 * y).toFixed(1)} %` })}
        cursor={cursor} onCursor={setCursor} range={range} onRange={setRange} empty="reading the curves …"
        about={`${CURVES[curve]} over the epochs, the mean and the spread over seeds of each group`} />
    </section>
  );
}

function bandsOf(groups: Group[], found: Record<string, Table>, curve: string) {
  const lines: Line[] = [];
  const bands: { look: string; x: number[]; low: (number | null)[]; high: (number | null)[] }[] = [];
  groups.forEach((group, i) => {
    const byEpoch = new Map<number, number[]>();
    for (const run of group.runs) {
      const table = found[run.id];
      if (!table) continue;
      const values = numbers(table[curve]);
      numbers(table["epoch"]).forEach((epoch, k) => {
        if (epoch === null || values[k] == null) return;
        byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), values[k]!]);
      });
    }
    const x = [...byEpoch.keys()].sort((a, b) => a - b);
    const at = x.map((epoch) => byEpoch.get(epoch)!);
    lines.push({ name: group.name, look: `s${i}`, x, y: at.map((values) => values.reduce((a, b) => a + b, 0) / values.length) });
    if (at.some((values) => values.length > 1)) {
      bands.push({ look: `s${i}`, x, low: at.map((values) => Math.min(...values)), high: at.map((values) => Math.max(...values)) });
    }
  });
  return { lines, bands };
}
