// All runs in one table: sorted, filtered, grouped by sweep; only the rows in sight are elements.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { saveCsv } from "../chart/save";
import { useWidth } from "../chart/size";
import { count, number } from "../format";
import { go, type Query } from "../route";
import { State } from "../State";
import { type Column, columnsFor, varyingSettings, widthOf } from "./columns";
import { matcher, sorted, valueOf } from "./query";
import type { Entry, State as Runs, Sweep } from "./store";

const ROW = 34, OVER = 8;

type Line = { entry: Entry } | { sweep: Sweep; shown: number; entries: Entry[]; open: boolean };

export function RunsPage({ runs, query }: { runs: Runs; query: Query }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const q = query.get("q") ?? "";
  const sort = query.get("sort") ?? "-changed";
  const grouped = query.get("group") !== "no";
  const [open, setOpen] = useState<Set<string>>(new Set());
  const [picked, setPicked] = useState<Set<string>>(new Set());
  const set = (changes: Record<string, string | null>) => go("runs", query, changes);

  const matching = useMemo(() => runs.entries.filter(matcher(q)), [runs.entries, q]);
  const varying = useMemo(() => varyingSettings(matching), [matching]);
  const columns = useMemo(() => columnsFor(width || 1200, varying), [width, varying]);
  const [by, down] = sort.startsWith("-") ? [sort.slice(1), true] : [sort, false];
  const rows = useMemo(() => sorted(matching, by, down), [matching, by, down]);
  const lines = useMemo(() => (grouped ? groups(rows, runs.sweeps, open) : rows.map((entry) => ({ entry }))), [rows, grouped, open, runs.sweeps]);
  const running = runs.entries.filter((entry) => entry.state === "running").length;

  const choose = (column: Column) => set({ sort: by === column.id ? (down ? column.id : `-${column.id}`) : column.down ? `-${column.id}` : column.id });
  const csv = () => saveCsv(["run", ...columns.slice(1).map((c) => c.id)],
    rows.map((entry) => columns.map((c) => valueOf(entry, c.id) ?? null)), "runs");
  return (
    <main class="page runs">
      <h1 class="only-heard">Runs</h1>
      {runs.problem && <p class="alarm" role="alert">{runs.problem}; what is shown may be old</p>}
      <div class="bar">
        <label class="filter">
          <span class="only-heard">Filter</span>
          <input type="search" placeholder="filter: words, lr>0.1, state=running" value={q} spellcheck={false}
            onInput={(event) => set({ q: event.currentTarget.value || null })} />
        </label>
        <label class="check"><input type="checkbox" checked={grouped} onChange={() => set({ group: grouped ? "no" : null })} /> group by sweep</label>
        {width < 560 && (
          <label class="sort">sort by <select value={sort} onChange={(event) => set({ sort: event.currentTarget.value })}>
            <option value="-changed">written last</option><option value="val_loss">validation loss</option>
            <option value="-val_acc">validation accuracy</option><option value="name">name</option>
          </select></label>
        )}
        {picked.size > 0 && (
          <>
            <a class="compare-link" href={`#/compare?runs=${[...picked].map(encodeURIComponent).join(",")}`}>Compare {picked.size}</a>
            <button type="button" class="small" onClick={() => setPicked(new Set())}>none</button>
          </>
        )}
        <button type="button" class="small" onClick={csv}>CSV</button>
        <p class="muted summary" role="status">
          {q ? `${count(rows.length)} of ${count(runs.entries.length)} runs` : `${count(runs.entries.length)} runs`}
          {running > 0 && <> · <span class="state running"><span aria-hidden="true">●</span> {running} running</span></>}
          {runs.unread > 0 && ` · ${count(runs.unread)} still to be read`}
        </p>
      </div>
      <div ref={box}>
        {width > 0 && (lines.length
          ? <Table lines={lines} columns={columns} by={by} down={down} choose={choose} toggle={(id) => setOpen(toggled(open, id))}
            picked={picked} pick={(id) => setPicked(toggled(picked, id))} />
          : <Empty ready={runs.ready} filtered={!!q && runs.entries.length > 0} />)}
      </div>
    </main>
  );
}

function Empty({ ready, filtered }: { ready: boolean; filtered: boolean }) {
  if (!ready) return <p class="empty" role="status">reading the folder …</p>;
  if (filtered) return <p class="empty">no run is like that</p>;
  return (
    <div class="empty">
      <p>No runs in this folder yet. They appear here by themselves.</p>
      <p><a href="#/train">Begin a training</a>, or</p>
      <p><code>steepest train digits --hidden 100 --epochs 20 --out runs/first</code></p>
    </div>
  );
}

function Table({ lines, columns, by, down, choose, toggle, picked, pick }: {
  lines: Line[]; columns: Column[]; by: string; down: boolean; choose: (column: Column) => void; toggle: (id: string) => void;
  picked: Set<string>; pick: (id: string) => void;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<[number, number]>([0, 40]);
  const [active, setActive] = useState(0);
  const template = columns.map((column) => column.width).join(" ");
  const least = `${widthOf(columns)}px`;
  const look = () => {
    const element = scroller.current;
    if (!element) return; // told of a size or a place once the table is gone
    const first = Math.max(0, Math.floor(element.scrollTop / ROW) - OVER);
    const last = Math.ceil((element.scrollTop + element.clientHeight) / ROW) + OVER;
    setView((before) => (before[0] === first && before[1] === last ? before : [first, last]));
  };
  useEffect(() => {
    look();
    const watch = new ResizeObserver(look);
    watch.observe(scroller.current!);
    return () => watch.disconnect();
  }, []);
  const current = Math.min(active, lines.length - 1);
  const move = (to: number) => {
    const next = Math.min(Math.max(to, 0), lines.length - 1);
    setActive(next);
    const element = scroller.current!;
    const top = next * ROW, shown = element.clientHeight - ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + shown) element.scrollTop = top + ROW - shown;
    look();
    requestAnimationFrame(() => element.querySelector<HTMLElement>(`[data-line="${next}"]`)?.focus());
  };
  const act = (line: Line) => {
    if ("entry" in line) location.hash = line.entry.link;
    else toggle(line.sweep.id);
  };
  const key = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(scroller.current!.clientHeight / ROW) - 2);
    const keys: Record<string, () => void> = {
      ArrowDown: () => move(current + 1), ArrowUp: () => move(current - 1), PageDown: () => move(current + page),
      PageUp: () => move(current - page), Home: () => move(0), End: () => move(lines.length - 1),
      Enter: () => act(lines[current]!),
      " ": () => {
        const line = lines[current]!;
        if ("entry" in line) pick(line.entry.id);
        else act(line);
      },
    };
    if (keys[event.key] && (event.target as HTMLElement).dataset["line"] !== undefined) {
      keys[event.key]!();
      event.preventDefault();
    }
  };
  const [first, last] = [Math.min(view[0], Math.max(0, lines.length - 1)), Math.min(view[1], lines.length)];
  return (
    <div class="table" ref={scroller} onScroll={look} onKeyDown={key} role="treegrid" aria-label="Runs"
      aria-rowcount={lines.length + 1} aria-colcount={columns.length}>
      <div class="row head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template, minWidth: least }}>
        {columns.map((column) => (
          <div key={column.id} role="columnheader" class={column.right ? "right" : ""} title={column.about}
            aria-sort={by === column.id ? (down ? "descending" : "ascending") : "none"}>
            <button type="button" onClick={() => choose(column)}>
              {column.title}<span class="arrow" aria-hidden="true">{by === column.id ? (down ? "↓" : "↑") : ""}</span>
            </button>
          </div>
        ))}
      </div>
      <div class="rows" role="rowgroup" style={{ height: `${lines.length * ROW}px`, minWidth: least }}>
        {lines.slice(first, last).map((line, i) => {
          const at = first + i;
          const common = {
            role: "row" as const, "aria-rowindex": at + 2, "data-line": at, tabIndex: at === current ? 0 : -1,
            onFocus: () => setActive(at), onClick: (event: MouseEvent) => {
              if (!(event.target as HTMLElement).closest("a, input") && !getSelection()?.toString()) act(line);
            },
          };
          if ("sweep" in line) return <Group key={line.sweep.id} line={line} top={at * ROW} common={common} columns={columns.length} />;
          const { entry } = line;
          return (
            <div key={entry.id} class={`row${entry.sweep ? " of-sweep" : ""}`} {...common} aria-level={entry.sweep ? 2 : 1} style={{ top: `${at * ROW}px`, gridTemplateColumns: template }}>
              {columns.map((column, c) => (
                <div key={column.id} role="gridcell" class={column.right ? "right" : ""}>
                  {c === 0 && <input class="pick" type="checkbox" tabIndex={-1} aria-label={`Compare ${entry.name}`} checked={picked.has(entry.id)} onChange={() => pick(entry.id)} />}
                  {c === 0 ? <a href={entry.link} tabIndex={-1} title={entry.name}>{column.cell(entry)}</a> : column.cell(entry)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Group({ line, top, common, columns }: {
  line: Extract<Line, { sweep: Sweep }>; top: number; common: Record<string, unknown>; columns: number;
}) {
  const { sweep, entries, open } = line;
  const best = useMemo(() => {
    const sound = entries.filter((entry) => typeof entry.val_loss === "number");
    return sound.length ? Math.min(...sound.map((entry) => entry.val_loss as number).slice(0, 1e5)) : null;
  }, [entries]);
  const ill = entries.filter((entry) => entry.state === "diverged" || entry.state === "failed").length;
  return (
    <div class="row group" {...common} aria-level={1} aria-expanded={open} style={{ top: `${top}px` }}>
      <div role="gridcell" aria-colspan={columns}>
        <span class="fold" aria-hidden="true">{open ? "▾" : "▸"}</span>
        <b>{sweep.name}</b>
        <span class="muted">{sweep.problem ?? <>
          {count(sweep.done)}{sweep.done < sweep.planned && ` of ${count(sweep.planned)}`} runs
          {best !== null && <> · best val loss <b>{number(best)}</b></>}
          {sweep.varies?.length > 0 && ` · over ${sweep.varies.join(", ")}`}
        </>}</span>
        <a href={`#/compare?sweep=${sweep.id}`} tabIndex={-1}>compare its trials</a>
        {ill > 0 && <State state="diverged" title={`${ill} runs diverged or failed`} />}
      </div>
    </div>
  );
}

// Single runs and sweeps in one order: a sweep stands where its first row would.
function groups(rows: Entry[], sweeps: Map<string, Sweep>, open: Set<string>): Line[] {
  const bySweep = new Map<string, Entry[]>();
  const order: (Entry | string)[] = [];
  for (const entry of rows) {
    if (entry.sweep === null) order.push(entry);
    else {
      const there = bySweep.get(entry.sweep);
      if (there) there.push(entry);
      else {
        bySweep.set(entry.sweep, [entry]);
        order.push(entry.sweep);
      }
    }
  }
  return order.flatMap((one): Line[] => {
    if (typeof one !== "string") return [{ entry: one }];
    const sweep = sweeps.get(one);
    const entries = bySweep.get(one)!;
    if (!sweep) return [];
    const isOpen = open.has(one);
    const head: Line = { sweep, shown: entries.length, entries, open: isOpen };
    return isOpen ? [head, ...entries.map((entry) => ({ entry }))] : [head];
  });
}

function toggled(open: Set<string>, id: string): Set<string> {
  const next = new Set(open);
  if (!next.delete(id)) next.add(id);
  return next;
}
