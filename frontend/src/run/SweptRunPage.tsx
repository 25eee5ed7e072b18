// A run of a sweep: what varies in it, what came of it, its curves; more of it is not recorded.

import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../api";
import { LineChart, type Line } from "../chart/LineChart";
import type { Domain } from "../chart/scale";
import { count, duration, number, percent, type Value } from "../format";
import { State } from "../State";
import { bestRow, numbers, type Table } from "./model";

interface Swept {
  run: string;
  trial: number;
  seed: number;
  settings: Record<string, Value>;
  done: Record<string, Value> | null;
  epochs: Table;
}

export function SweptRunPage({ sweep, run }: { sweep: string; run: string }) {
  const [found, setFound] = useState<Swept | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [range, setRange] = useState<Domain | null>(null);
  useEffect(() => {
    get<Swept>(`/api/sweeps/${sweep}/runs/${encodeURIComponent(run)}`).then(setFound, (error: Error) => setProblem(error.message));
  }, [sweep, run]);
  const lines = useMemo(() => {
    const x = numbers(found?.epochs["epoch"]) as number[];
    const line = (name: string, look: string, column: string): Line => ({ name, look, x, y: numbers(found?.epochs[column]) });
    return {
      loss: [line("training", "train", "train_loss"), line("validation", "validation", "val_loss")],
      acc: [line("training", "train", "train_acc"), line("validation", "validation", "val_acc")],
    };
  }, [found]);
  if (!found) return <main class="page"><p class="empty" role="status">{problem ?? "reading the run …"}</p></main>;
  const best = bestRow(found.epochs, "loss");
  const at = (name: string): Value => (best === null ? null : found.epochs[name]?.[best]);
  const done = found.done ?? {};
  const marks = best === null ? [] : [{ x: at("epoch") as number, y: at("val_loss") as number, text: `best, epoch ${at("epoch")}` }];
  const common = { xLabel: "epoch, from 0", wholeX: true, cursor, onCursor: setCursor, range, onRange: setRange };
  const shown = Object.entries(found.settings).map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(",") : value}`);
  return (
    <main class="page run">
      <header class="run-head">
        <nav aria-label="Where you are"><a href="#/runs">Runs</a> <span aria-hidden="true">/</span> <span>trial {found.trial}, seed {found.seed}</span></nav>
        <div class="title"><h1>{shown.join(", ") || found.run}</h1><State state={String(done["status"] ?? "planned")} title={done["cause"] as string | null} /></div>
        <p class="muted">run {found.run} of a sweep: layers and findings are not recorded in one; train its recipe again to see them</p>
        {done["cause"] && <p class="alarm" role="alert">{done["cause"]}</p>}
        <dl class="figures">
          <div class="most"><dt>validation loss</dt><dd>{number(done["best_val_loss"] ?? at("val_loss"))}</dd><dd class="of">best, at epoch {at("epoch") ?? "–"}</dd></div>
          <div><dt>validation accuracy</dt><dd>{percent(at("val_acc"))}</dd><dd class="of">at that epoch</dd></div>
          <div><dt>test accuracy</dt><dd>{percent(done["test_acc"])}</dd><dd class="of">at the last weights</dd></div>
          <div><dt>epochs</dt><dd>{count(done["epochs"])}</dd><dd class="of">in {duration(done["seconds"])}</dd></div>
        </dl>
      </header>
      <section aria-labelledby="curves-title">
        <div class="section-head"><h2 id="curves-title">Curves</h2></div>
        <div class="grid">
          <LineChart {...common} title="Loss" lines={lines.loss} low={0} canLog yText={(y) => number(y)} marks={marks} fill={[1, 0]} about="Training and validation loss in nats over the epochs" />
          <LineChart {...common} title="Accuracy" lines={lines.acc} high={1} yText={(y) => percent(y, 2)} yTick={(y) => `${+(100 * y).toFixed(1)} %`} marks={[]} about="Training and validation accuracy over the epochs" />
        </div>
      </section>
    </main>
  );
}
