// What a person types over the table: words, and comparisons such as lr>0.1 or state=running.

import type { Value } from "../format";
import type { Entry } from "./store";

const COMPARISON = /^([\w.]+)(>=|<=|!=|=|:|>|<)(.+)$/;
const SHORT: Record<string, string> = { val: "val_loss", acc: "val_acc", test: "test_acc", loss: "train_loss" };

export function matcher(query: string): (entry: Entry) => boolean {
  const tests = query.trim().toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const found = COMPARISON.exec(word);
    if (!found) return (entry: Entry) => textOf(entry).includes(word);
    const [, name, sign, wanted] = found as unknown as [string, string, string, string];
    return (entry: Entry) => compare(valueOf(entry, SHORT[name] ?? name), sign, wanted);
  });
  return (entry) => tests.every((test) => test(entry));
}

function textOf(entry: Entry): string {
  if (entry.text === undefined) {
    const settings = Object.entries(entry.settings ?? {}).map(([name, value]) => `${name}=${value}`);
    const parts = [entry.sweep_name, entry.name, entry.data, entry.net, entry.engine, entry.state, ...settings];
    entry.text = parts.filter(Boolean).join(" ").toLowerCase();
  }
  return entry.text;
}

export function valueOf(entry: Entry, column: string): Value {
  if (column in entry) return (entry as unknown as Record<string, Value>)[column];
  return entry.settings?.[column];
}

function compare(value: Value, sign: string, wanted: string): boolean {
  if (value === null || value === undefined) return sign === "!=";
  const [a, b] = [Number(value), Number(wanted)];
  const both = !Number.isNaN(a) && !Number.isNaN(b);
  const text = String(value).toLowerCase();
  switch (sign) {
    case ">": return both && a > b;
    case "<": return both && a < b;
    case ">=": return both && a >= b;
    case "<=": return both && a <= b;
    case "!=": return both ? a !== b : text !== wanted;
    case ":": return text.includes(wanted);
    default: return both ? a === b : text === wanted;
  }
}

// Rows without a value come last in both directions; words behind numbers.
export function sorted(entries: Entry[], column: string, down: boolean): Entry[] {
  const keys = new Map<Entry, Value>(entries.map((entry) => [entry, valueOf(entry, column)]));
  const sign = down ? -1 : 1;
  return [...entries].sort((p, q) => {
    const [a, b] = [keys.get(p), keys.get(q)];
    if (a === null || a === undefined || b === null || b === undefined) return Number(a == null) - Number(b == null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return sign * (a < b ? -1 : a > b ? 1 : 0);
  });
}
