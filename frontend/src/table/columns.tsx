// The columns of the table of runs: what they are called, how wide they are, what stands in them.

import type { ComponentChildren } from "preact";
import { count, duration, moment, number, percent, rate, type Value } from "../format";
import { State } from "../State";
import { valueOf } from "./query";
import type { Entry } from "./store";

export interface Column {
  id: string;
  title: string;
  about: string;
  width: string;
  right?: boolean;
  down?: boolean; // what is looked for first is the largest
  cell: (entry: Entry) => ComponentChildren;
}

const FIXED: Column[] = [
  { id: "state", title: "state", about: "running, or how it ended", width: "112px", cell: (e) => <State state={e.state} title={e.cause} /> },
  { id: "val_loss", title: "val loss", about: "validation loss of the best epoch, in nats", width: "92px", right: true, cell: (e) => <b>{number(e.val_loss)}</b> },
  { id: "val_acc", title: "val acc", about: "validation accuracy at that epoch", width: "82px", right: true, down: true, cell: (e) => percent(e.val_acc) },
  { id: "test_acc", title: "test acc", about: "accuracy of the test part at the last weights", width: "82px", right: true, down: true, cell: (e) => percent(e.test_acc) },
  { id: "findings", title: "findings", about: "errors and warnings of health", width: "92px", cell: (e) => <Found entry={e} /> },
  { id: "epochs", title: "epochs", about: "epochs that are done", width: "86px", right: true, cell: (e) => <>{count(e.epochs)}{e.epochs_planned !== null && <span class="muted">/{e.epochs_planned}</span>}</> },
  { id: "rate", title: "rows/s", about: "training rows a second", width: "78px", right: true, down: true, cell: (e) => rate(e.rate) },
  { id: "seconds", title: "time", about: "what it took so far", width: "72px", right: true, cell: (e) => duration(e.seconds) },
  { id: "data", title: "data", about: "what it is trained on", width: "minmax(96px, 0.7fr)", cell: (e) => e.data },
  { id: "net", title: "net", about: "hidden widths and activation", width: "minmax(110px, 0.7fr)", cell: (e) => e.net },
  { id: "engine", title: "engine", about: "which engine runs it", width: "70px", cell: (e) => e.engine ?? "–" },
  { id: "seed", title: "seed", about: "of the run", width: "56px", right: true, cell: (e) => e.seed ?? "–" },
  { id: "changed", title: "written", about: "when something was written last", width: "132px", right: true, down: true, cell: (e) => moment(e.changed) },
];

const NAME: Column = { id: "name", title: "run", about: "its place in the folder", width: "minmax(220px, 1.6fr)", cell: (e) => (e.sweep ? `trial ${e.trial}, seed ${e.seed}` : e.name) };
const NARROW = ["state", "val_loss"];
const MIDDLE = ["state", "val_loss", "val_acc", "findings", "epochs", "rate", "net"];
const MOST_SETTINGS = 6;
// What says the same in another column.
const SHOWN_ELSEWHERE = new Set(["hidden", "activation", "epochs", "members", "preset"]);

// The least width that all columns have together: head and rows have the same lines then.
export function widthOf(columns: Column[]): number {
  return columns.reduce((sum, column) => sum + Number(/\d+/.exec(column.width)![0]), 16);
}

export function columnsFor(width: number, varying: string[]): Column[] {
  if (width < 560) return [{ ...NAME, width: "minmax(90px, 1fr)" }, ...FIXED.filter((c) => NARROW.includes(c.id))];
  const settings = varying.slice(0, width < 1000 ? 1 : width < 1500 ? 3 : MOST_SETTINGS).map(settingColumn);
  const chosen = width < 1000 ? FIXED.filter((c) => MIDDLE.includes(c.id)) : FIXED;
  const at = chosen.findIndex((c) => c.id === "epochs");
  return [NAME, ...chosen.slice(0, at), ...settings, ...chosen.slice(at)];
}

function settingColumn(name: string): Column {
  return {
    id: name, title: name, about: `the setting ${name}, which differs between these runs`,
    width: `${Math.min(150, Math.max(70, 9 * name.length + 24))}px`, right: true,
    cell: (e) => <span class="setting">{setting(valueOf(e, name))}</span>,
  };
}

function setting(value: Value): string {
  if (value === null || value === undefined) return "·";
  return typeof value === "number" ? String(+value.toPrecision(4)) : value;
}

// The settings that are not the same in all of these runs, those with most values first.
export function varyingSettings(entries: Entry[]): string[] {
  const values = new Map<string, Set<Value>>();
  const counts = new Map<string, number>();
  for (const entry of entries) {
    for (const name in entry.settings) {
      if (SHOWN_ELSEWHERE.has(name)) continue;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      const seen = values.get(name) ?? new Set();
      if (seen.size < 50) values.set(name, seen.add(entry.settings[name]));
    }
  }
  const differs = [...values].filter(([name, seen]) => seen.size > 1 || counts.get(name)! < entries.length);
  return differs.sort((a, b) => b[1].size - a[1].size || counts.get(b[0])! - counts.get(a[0])!).map(([name]) => name);
}

function Found({ entry }: { entry: Entry }) {
  if (!entry.errors && !entry.warnings) return <span class="muted">–</span>;
  return (
    <span class="found">
      {!!entry.errors && <span class="errors">✕ {entry.errors}<span class="only-heard"> errors</span></span>}
      {!!entry.warnings && <span class="warnings">! {entry.warnings}<span class="only-heard"> warnings</span></span>}
    </span>
  );
}
