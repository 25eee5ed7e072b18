// Runs that differ in their seed alone are one group: what is compared is groups, and what lies
// between the runs of one is seed noise.

import type { Value } from "../format";
import type { Entry } from "../table/store";
import { varyingSettings } from "../table/columns";

export interface Group {
  name: string;
  runs: Entry[];
  settings: Record<string, Value>;
  mean: number | null;
  std: number | null;
}

// What a setting is that a run does not name: the server tells it, see main.tsx.
export const defaults: Record<string, Value> = {};

export const METRICS: Record<string, { title: string; falls: boolean }> = {
  val_loss: { title: "validation loss", falls: true },
  val_acc: { title: "validation accuracy", falls: false },
  test_acc: { title: "test accuracy", falls: false },
  train_loss: { title: "training loss", falls: true },
  seconds: { title: "seconds", falls: true },
  rate: { title: "rows a second", falls: false },
};

export function metricOf(entry: Entry, metric: string): number | null {
  const value = (entry as unknown as Record<string, Value>)[metric];
  return typeof value === "number" ? value : null;
}

// The best first; groups without a value last.
export function groupsOf(entries: Entry[], metric: string): Group[] {
  const varying = settingsOf(entries);
  const found = new Map<string, Group>();
  for (const entry of entries) {
    const settings = Object.fromEntries(varying.map((name) => [name, settingValue(entry, name)]));
    // Nothing but the seed differs: each run is a group, or there would be nothing to compare.
    const key = varying.length ? JSON.stringify(settings) : entry.id;
    const there = found.get(key);
    if (there) there.runs.push(entry);
    else found.set(key, { name: "", runs: [entry], settings, mean: null, std: null });
  }
  const groups = [...found.values()];
  for (const group of groups) {
    const values = group.runs.map((run) => metricOf(run, metric)).filter((value) => value !== null);
    const n = values.length;
    if (n) group.mean = values.reduce((a, b) => a + b, 0) / n;
    if (n > 1) group.std = Math.sqrt(values.reduce((sum, v) => sum + (v - group.mean!) ** 2, 0) / (n - 1));
    const shown = Object.entries(group.settings).map(([name, value]) => `${name} ${text(value)}`);
    group.name = (group.runs.length === 1 && group.runs[0]!.sweep === null ? group.runs[0]!.name : shown.join(", ")) || group.runs[0]!.name;
  }
  const sign = METRICS[metric]?.falls === false ? -1 : 1;
  return groups.sort((a, b) => Number(a.mean === null) - Number(b.mean === null) || sign * ((a.mean ?? 0) - (b.mean ?? 0)));
}

export function settingsOf(entries: Entry[]): string[] {
  const extra = ["net", "data", "engine"].filter((name) => new Set(entries.map((e) => (e as unknown as Record<string, Value>)[name])).size > 1);
  return [...varyingSettings(entries), ...extra];
}

export function settingValue(entry: Entry, name: string): Value {
  if (name === "net" || name === "data" || name === "engine" || name === "seed") return (entry as unknown as Record<string, Value>)[name];
  return entry.settings?.[name] ?? defaults[name];
}

export function text(value: Value): string {
  if (value === null || value === undefined) return "default";
  return typeof value === "number" ? String(+value.toPrecision(4)) : value;
}

// Student's t, two-sided 95 %, by degrees of freedom.
const T = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.1, 2.09, 2.09];

// Whether a group differs from the best by more than seeds make: by the differences of runs with the
// same seed, a paired t-test. Null where there are not two of them.
export function beyondNoise(best: Group, other: Group, metric: string): { difference: number; half: number } | null {
  const bySeed = new Map(best.runs.map((run) => [run.seed, metricOf(run, metric)]));
  const differences = other.runs.flatMap((run) => {
    const [mine, theirs] = [metricOf(run, metric), bySeed.get(run.seed)];
    return mine !== null && theirs != null ? [mine - theirs] : [];
  });
  const n = differences.length;
  if (n < 2) return null;
  const mean = differences.reduce((a, b) => a + b, 0) / n;
  const std = Math.sqrt(differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (n - 1));
  return { difference: mean, half: ((T[n - 2] ?? 1.98) * std) / Math.sqrt(n) };
}
