// A run as its page has it: what was told so far, and what that comes to.

import type { Value } from "../format";
import type { Grid } from "../chart/Heatmap";

export type Table = Record<string, Value[]>;

export interface LayerStep {
  step: number;
  name: string[];
  [quantity: string]: (Value | string)[] | number;
}

export interface Finding {
  code: string;
  severity: string;
  message: string;
  fix: string;
  evidence: { measured: string; expected: string; where: string }[];
  ruled_out: string[];
  confidence: string;
  step: number;
  consequences: { code: string; message: string }[];
}

export interface Row {
  id: string;
  name: string;
  state: string;
  cause: string | null;
  data: string;
  net: string;
  engine: string | null;
  seed: number | null;
  epochs: number | null;
  epochs_planned: number | null;
  step: number | null;
  rate: Value;
  seconds: Value;
  train_loss: Value;
  val_loss: Value;
  val_acc: Value;
  best_epoch: number | null;
  test_acc: Value;
  errors: number | null;
  warnings: number | null;
  changed: number;
  settings: Record<string, Value> | null;
}

export interface Setting {
  name: string;
  value: Value;
  default: Value;
  changed: boolean;
  group: string;
  help: string;
}

export interface About {
  row: Row;
  facts: Record<string, unknown>;
  recipe: Setting[];
  best_by: string;
  steps_per_epoch: number | null;
  classes: string[] | null;
}

export interface Told {
  epochs: Table;
  intervals: Table;
  layers: LayerStep[];
  metrics: [number, string, Value][];
  events: [number, string, string][];
  findings: Finding[];
  facts: Record<string, unknown>;
}

interface Sent extends Omit<Told, "findings"> {
  findings: Finding[] | null; // none that are new
}

export const NOTHING: Told = { epochs: {}, intervals: {}, layers: [], metrics: [], events: [], findings: [], facts: {} };

// What is kept of layers: as many steps as the server sends of a whole run, twice at most.
const MOST_STEPS = 480, MOST_METRICS = 8000;

export function take(told: Told, event: string, sent: Sent): Told {
  if (event === "snapshot") return { ...sent, findings: sent.findings ?? [] };
  let layers = [...told.layers, ...sent.layers];
  if (layers.length > MOST_STEPS) layers = layers.filter((_, i) => i % 2 === 0 || i === layers.length - 1);
  return {
    epochs: append(told.epochs, sent.epochs),
    intervals: append(told.intervals, sent.intervals),
    layers,
    metrics: [...told.metrics, ...sent.metrics].slice(-MOST_METRICS),
    events: [...told.events, ...sent.events],
    findings: sent.findings ?? told.findings,
    facts: sent.facts,
  };
}

function append(old: Table, more: Table): Table {
  const added = more["step"]?.length ?? 0;
  if (!added) return old;
  return Object.fromEntries(Object.keys(more).map((name) => [name, [...(old[name] ?? []), ...more[name]!]]));
}

export function numbers(column: Value[] | undefined): (number | null)[] {
  return (column ?? []).map((value) => (typeof value === "number" ? value : null));
}

// The row of the best epoch, as the report finds it.
export function bestRow(epochs: Table, by: string, metrics: Told["metrics"] = []): number | null {
  const losses = numbers(epochs["val_loss"]);
  const measured = new Map(metrics.filter(([, name]) => name === by).map(([step, , value]) => [step, value]));
  if (measured.size) {
    const sign = by === "calibrated_loss" ? 1 : -1;
    let best: number | null = null, least = Infinity;
    (epochs["step"] ?? []).forEach((step, i) => {
      const value = measured.get(step as number);
      if (losses[i] !== null && typeof value === "number" && sign * value < least) [best, least] = [i, sign * value];
    });
    return best;
  }
  const accuracies = numbers(epochs["val_acc"]);
  let best: number | null = null;
  losses.forEach((loss, i) => {
    if (loss === null) return;
    if (best === null) best = i;
    else if (by === "accuracy") {
      const [mine, theirs] = [accuracies[i] ?? -1, accuracies[best] ?? -1];
      if (mine > theirs || (mine === theirs && loss < losses[best]!)) best = i;
    } else if (loss < losses[best]!) best = i;
  });
  return best;
}

export function layerGrid(layers: LayerStep[], quantity: string): Grid {
  const names = [...new Set(layers.flatMap((step) => step.name))];
  return {
    steps: layers.map((step) => step.step),
    rows: names.map((name) => ({
      name,
      values: layers.map((step) => {
        const value = (step[quantity] as Value[] | undefined)?.[step.name.indexOf(name)];
        return typeof value === "number" ? value : null;
      }),
    })),
  };
}

// Where a loss was not a number first.
export function firstNotANumber(table: Table, column: string): number | null {
  const at = (table[column] ?? []).findIndex((value) => typeof value === "string");
  return at < 0 ? null : at;
}

export interface Rate { x: number; y: number }

// Rows a second of each epoch.
export function throughput(epochs: Table, rowsPerEpoch: unknown): Rate[] {
  const seconds = numbers(epochs["seconds"]);
  const steps = numbers(epochs["step"]);
  const epoch = numbers(epochs["epoch"]);
  const found: Rate[] = [];
  for (let i = 0; i < seconds.length; i++) {
    const before = i ? seconds[i - 1]! : 0;
    const passed = i ? epoch[i]! - epoch[i - 1]! : epoch[0]! + 1;
    const took = seconds[i]! - before;
    // A run that went on begins to count its seconds anew.
    if (took > 0 && typeof rowsPerEpoch === "number" && steps[i] !== null) {
      found.push({ x: epoch[i]!, y: (passed * rowsPerEpoch) / took });
    }
  }
  return found;
}
