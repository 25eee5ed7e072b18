// The rows of all runs, kept up to date by deltas: single runs by version, those of sweeps page by page.

import { get, listen } from "../api";
import type { Value } from "../format";
import type { Row } from "../run/model";

export interface Sweep {
  id: string;
  name: string;
  problem?: string;
  data: string;
  net: string;
  metric: string;
  varies: string[];
  planned: number;
  done: number;
  changed: number;
  settings: Record<string, Value>;
}

// A row of the table. link: where it leads. text: what the filter looks through, made when one filters.
export interface Entry extends Row {
  sweep: string | null;
  trial: number | null;
  link: string;
  text?: string;
  sweep_name?: string;
}

export interface State {
  entries: Entry[];
  sweeps: Map<string, Sweep>;
  unread: number;
  ready: boolean;
  problem: string | null;
}

interface Changes {
  version: number;
  columns: string[];
  runs: unknown[][];
  sweeps: Sweep[];
  gone: string[];
  unread: number;
  all: boolean;
}

interface Page {
  columns: Record<string, Value[]>;
  settings: Record<string, Value[]>;
  nets: (string | null)[];
  cursor: number;
  more: boolean;
}

export function watchRuns(tell: (state: State) => void): () => void {
  const runs = new Map<string, Entry>();
  const sweeps = new Map<string, Sweep>();
  const swept = new Map<string, { cursor: number; entries: Entry[] }>();
  let version = 0, busy = false, again = false, ended = false, unread = 0;
  let problem: string | null = null;

  const publish = (ready = true) => {
    if (ended) return;
    const entries = [...runs.values(), ...[...swept.values()].flatMap((one) => one.entries)];
    tell({ entries, sweeps: new Map(sweeps), unread, ready, problem });
  };

  async function update(): Promise<void> {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      do {
        again = false;
        const found = await get<Changes>(`/api/runs?since=${version}`);
        if (found.all) runs.clear(), sweeps.clear();
        version = found.version;
        unread = found.unread;
        for (const id of found.gone) runs.delete(id), sweeps.delete(id), swept.delete(id);
        const rows = found.runs[0]?.length ?? 0;
        for (let i = 0; i < rows; i++) {
          const row = Object.fromEntries(found.columns.map((name, c) => [name, found.runs[c]![i]]));
          const entry = row as unknown as Entry;
          runs.set(entry.id, finish(entry, `#/run/${entry.id}`));
        }
        for (const sweep of found.sweeps) sweeps.set(sweep.id, sweep);
        publish();
        for (const sweep of found.sweeps) if (!sweep.problem) await pages(sweep);
        if (unread) again = true;
      } while (again && !ended);
    } catch (error) {
      problem = (error as Error).message;
      publish();
    } finally {
      busy = false;
    }
  }

  async function pages(sweep: Sweep): Promise<void> {
    const kept = swept.get(sweep.id) ?? { cursor: 0, entries: [] };
    swept.set(sweep.id, kept);
    for (let more = true; more && !ended;) {
      const page = await get<Page>(`/api/sweeps/${sweep.id}/runs?after=${kept.cursor}`);
      const added = page.columns["run"]!.map((_, i) => sweptRow(sweep, page, i));
      kept.entries = kept.entries.concat(added);
      [kept.cursor, more] = [page.cursor, page.more];
      publish();
    }
  }

  const stop = listen("/api/runs/stream", ({ data }) => {
    if ((data as { version: number }).version !== version) void update();
  }, (reason) => {
    problem = reason;
    publish(version > 0 || reason !== null);
  });
  void update();
  return () => {
    ended = true;
    stop();
  };
}

function sweptRow(sweep: Sweep, page: Page, i: number): Entry {
  const at = <T>(name: string) => page.columns[name]![i] as T;
  const settings = Object.fromEntries(Object.entries(page.settings).map(([name, values]) => [name, values[i]]));
  const trial = at<number | null>("trial");
  const run = at<string>("run");
  return finish({
    id: `${sweep.id}/${run}`,
    name: run,
    state: at("state"),
    cause: at("cause"),
    data: sweep.data,
    net: page.nets[i] ?? sweep.net,
    engine: null,
    seed: at("seed"),
    epochs: at("epochs"),
    epochs_planned: null,
    step: at("step"),
    rate: at("rate"),
    seconds: at("seconds"),
    train_loss: at("train_loss"),
    val_loss: at("val_loss"),
    val_acc: at("val_acc"),
    best_epoch: at("best_epoch"),
    test_acc: at("test_acc"),
    errors: null,
    warnings: null,
    changed: sweep.changed,
    settings,
    sweep: sweep.id,
    trial,
    link: `#/sweep/${sweep.id}/${encodeURIComponent(run)}`,
    sweep_name: sweep.name,
  }, `#/sweep/${sweep.id}/${encodeURIComponent(run)}`);
}

function finish(entry: Entry, link: string): Entry {
  entry.link = link;
  return entry;
}
