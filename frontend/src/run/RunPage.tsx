// One run, live while it trains: its most important number, findings, curves, layers, recipe.

import { useEffect, useMemo, useState } from "preact/hooks";
import { get, getText, listen } from "../api";
import { isFile } from "../embedded";
import { LineChart, type Line } from "../chart/LineChart";
import { Heatmap } from "../chart/Heatmap";
import { save } from "../chart/save";
import type { Domain } from "../chart/scale";
import { ago, count, duration, moment, number, percent, rate, type Value } from "../format";
import { State } from "../State";
import { useDark } from "../theme";
import { Actions, Printed } from "./Actions";
import { Findings } from "./Findings";
import { sequential, UPDATES } from "./looks";
import { type About, bestRow, firstNotANumber, layerGrid, NOTHING, numbers, type Row, take, throughput, type Told } from "./model";
import { Predictions } from "./Predictions";
import { Recipe } from "./Recipe";

// Runs that have saved their net.
const ENDED = new Set(["finished", "interrupted", "diverged"]);

export function RunPage({ id }: { id: string }) {
  const [about, setAbout] = useState<About | null>(null);
  const [told, setTold] = useState<Told>(NOTHING);
  const [row, setRow] = useState<Row | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [heard, setHeard] = useState<{ at: number; age: number } | null>(null);

  useEffect(() => {
    setAbout(null), setTold(NOTHING), setRow(null), setHeard(null);
    const load = () => get<About>(`/api/runs/${id}`).then((found) => {
      setAbout(found);
      setRow(found.row);
    });
    load().catch((error: Error) => setProblem(error.message));
    let state = "";
    const most = Math.min(2000, Math.max(600, 2 * window.innerWidth));
    return listen(`/api/runs/${id}/stream?most=${most}`, ({ event, data }) => {
      if (event === "state") {
        const sent = data as { row: Row; age: number };
        setRow(sent.row);
        setHeard({ at: performance.now(), age: sent.age });
        if (state && state !== sent.row.state) void load(); // it has ended, or gone on: class names and all
        state = sent.row.state;
      } else if (event === "problem") setProblem((data as { message: string }).message);
      else {
        const sent = data as Parameters<typeof take>[2] & { now: number; changed: number };
        setTold((before) => take(before, event, sent));
        setHeard({ at: performance.now(), age: Math.max(0, sent.now - sent.changed) });
      }
    }, setProblem);
  }, [id]);

  if (!about || !row) {
    return <main class="page"><p class="empty" role="status">{problem ?? "reading the run …"}</p></main>;
  }
  return (
    <main class="page run">
      {problem && <p class="alarm" role="alert">{problem}; what is shown may be old</p>}
      <Head row={row} about={about} told={told} heard={heard} />
      <Findings findings={told.findings} />
      <Curves id={id} about={about} told={told} />
      <Layers told={told} />
      <Predictions id={id} ended={ENDED.has(row.state)} />
      <div class="grid">
        <Recipe recipe={about.recipe} />
        <Events told={told} facts={told.facts} />
        <Printed id={id} state={row.state} />
      </div>
    </main>
  );
}

function Head({ row, about, told, heard }: {
  row: Row; about: About; told: Told; heard: { at: number; age: number } | null;
}) {
  const running = row.state === "running";
  const best = bestRow(told.epochs, about.best_by, told.metrics);
  const at = (name: string, i: number | null | undefined): Value => (i == null ? null : told.epochs[name]?.[i]);
  const last = (told.epochs["epoch"]?.length ?? 0) - 1;
  const trained = at("train_loss", last);
  const gap = gapOf(at("val_loss", last), trained);
  const loss = best === null ? trained : at("val_loss", best);
  const members = about.recipe.find((one) => one.name === "members")?.value;
  const scores = (about.facts["scores"] ?? {}) as Record<string, { loss: Value } | undefined>;
  const together = typeof members === "number" && members > 1 && best !== null ? scores["validation"]?.loss : undefined;
  const planned = row.epochs_planned ?? 0;
  const stepsPlanned = planned * (about.steps_per_epoch ?? 0);
  // The row comes once a second, curves as they are written.
  const epochs = Math.max(row.epochs ?? 0, Number(at("epoch", last) ?? -1) + 1);
  const step = Math.max(row.step ?? 0, Number(told.intervals["step"]?.at(-1) ?? 0));
  const share = stepsPlanned ? Math.min(1, step / stepsPlanned) : 0;
  const seconds = typeof row.seconds === "number" ? row.seconds : 0;
  const left = running && share > 0.02 && seconds ? (seconds * (1 - share)) / share : null;
  return (
    <header class="run-head">
      <nav aria-label="Where you are"><a href="#/runs">Runs</a> <span aria-hidden="true">/</span></nav>
      <div class="title">
        <h1>{row.name}</h1>
        <State state={row.state} title={row.cause} />
        <Age running={running} heard={heard} changed={row.changed} />
      </div>
      <p class="muted">{[row.data, row.net, row.engine && `${row.engine} engine`, row.seed !== null && `seed ${row.seed}`].filter(Boolean).join(" · ")}</p>
      {row.cause && <p class="alarm" role="alert">{row.cause}</p>}
      <Actions id={row.id} state={row.state} />
      <dl class="figures">
        {together !== undefined ? (
          <div class="most"><dt>validation loss</dt><dd>{number(together)}</dd><dd class="of">of all nets together, weighted; their mean was {number(loss)}, best at epoch {at("epoch", best)}</dd></div>
        ) : (
          <div class="most">
            <dt>{best === null ? "training loss" : "validation loss"}</dt>
            <dd>{number(loss)}</dd>
            <dd class="of">{best === null ? "no validation loss is recorded" : `best, at epoch ${at("epoch", best)}${about.best_by === "loss" ? "" : ` by ${about.best_by.replace("_", " ")}`}`}</dd>
          </div>
        )}
        <div><dt>validation accuracy</dt><dd>{percent(at("val_acc", best))}</dd><dd class="of">at that epoch</dd></div>
        <div><dt>gap</dt><dd>{number(gap, 3)}</dd><dd class="of">validation − training loss, last epoch</dd></div>
        {row.test_acc !== null && <div><dt>test accuracy</dt><dd>{percent(row.test_acc)}</dd><dd class="of">at the last weights</dd></div>}
        <div><dt>throughput</dt><dd>{rate(row.rate)}</dd><dd class="of">rows a second, last epoch</dd></div>
        <div>
          <dt>epochs</dt><dd>{count(epochs)}<span class="muted"> / {count(planned || null)}</span></dd>
          <dd class="of">{left !== null ? `${duration(left)} left` : `in ${duration(row.seconds)}`}</dd>
        </div>
      </dl>
      {running && <progress max={1} value={share} aria-label="Steps of the run that are done">{percent(share)}</progress>}
    </header>
  );
}

// How old the newest number is; what is too old says so in words.
function Age({ running, heard, changed }: { running: boolean; heard: { at: number; age: number } | null; changed: number }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!running || isFile) return;
    const timer = setInterval(() => tick((n) => n + 1), 200);
    return () => clearInterval(timer);
  }, [running]);
  if (!running || isFile) return <span class="age muted">last written {moment(changed)}</span>;
  if (!heard) return <span class="age muted">…</span>;
  const silent = (performance.now() - heard.at) / 1000;
  const age = heard.age + silent;
  if (silent > 4) return <span class="age stale" role="status">⚠ the board has not answered for {duration(silent)}</span>;
  if (age > 20) return <span class="age stale" role="status">⚠ nothing new for {duration(age)}</span>;
  return <span class="age">updated {ago(age)}</span>;
}

type View = "epoch" | "step" | "time";

function Curves({ id, about, told }: { id: string; about: About; told: Told }) {
  const many = (told.epochs["epoch"]?.length ?? 0) > 1 || (about.row.epochs_planned ?? 2) > 2;
  const [chosen, setView] = useState<View | null>(null);
  const view = chosen ?? (many ? "epoch" : "step");
  const [cursor, setCursor] = useState<number | null>(null);
  const [range, setRange] = useState<Domain | null>(null);
  useEffect(() => (setRange(null), setCursor(null)), [view]);
  const { epochs, intervals } = told;
  const best = bestRow(epochs, about.best_by, told.metrics);

  const axis = useMemo(() => axisOf(view, epochs, intervals), [view, epochs, intervals]);
  const curves = useMemo(() => {
    const line = (name: string, look: string, column: string, table: "epochs" | "intervals" = "epochs", note = ""): Line => {
      const values = numbers((table === "epochs" ? epochs : intervals)[column]);
      return { name, look, note, ...sortedPairs(table === "epochs" ? axis.epochs : axis.intervals, values) };
    };
    const hasVal = numbers(epochs["val_loss"]).some((value) => value !== null);
    const steps = view === "step" && (intervals["step"]?.length ?? 0) > 0;
    const pair = (kind: "loss" | "acc") => [
      ...(steps ? [line("minibatches", "batches", kind === "loss" ? "loss" : "accuracy", "intervals")] : []),
      line("training", "train", `train_${kind}`),
      ...(hasVal ? [line("validation", "validation", `val_${kind}`)] : []),
    ];
    return { loss: pair("loss"), acc: pair("acc"), hasVal, steps };
  }, [view, epochs, intervals, axis]);
  const lr = useMemo((): Line => view === "step"
    ? { name: "learning rate", look: "plain", ...sortedPairs(axis.intervals, numbers(intervals["lr"])) }
    : { name: "learning rate", look: "plain", ...sortedPairs(axis.epochs, numbers(epochs["lr"])) }, [view, epochs, intervals, axis]);
  const speed = useMemo((): Line => {
    const found = throughput(epochs, told.facts["rows"]);
    const xs = new Map(numbers(epochs["epoch"]).map((epoch, i) => [epoch, axis.epochs[i]!]));
    return { name: "rows a second", look: "plain", x: found.map((one) => xs.get(one.x)!), y: found.map((one) => one.y) };
  }, [epochs, axis, told.facts]);

  const marks = best === null || axis.epochs[best] === undefined ? [] : [{
    x: axis.epochs[best]!, text: `best, epoch ${epochs["epoch"]![best]}`,
  }];
  const broken = firstNotANumber(epochs, "train_loss");
  if (broken !== null) marks.push({ x: axis.epochs[broken]!, text: `not a number from epoch ${epochs["epoch"]![broken]}` });
  // All rows of the record are the server's to give: a file has those that are drawn.
  const all = (table: string) => (isFile ? undefined : () => void download(id, table));
  const common = {
    xLabel: axis.label, wholeX: view !== "time", xText: axis.text, cursor, onCursor: setCursor, range, onRange: setRange,
    csv: all("epochs"),
  };
  const pieces = curves.loss.length;
  const chance = told.facts["chance_loss"];
  const lossRules = typeof chance === "number" ? [{ y: chance, text: `chance, ${number(chance, 3)}` }] : [];
  const withY = (column: string) => marks.map((mark, i) => (i === 0 && best !== null ? { ...mark, y: numbers(epochs[column])[best] ?? null } : mark));
  return (
    <section aria-labelledby="curves-title">
      <div class="section-head">
        <h2 id="curves-title">Curves</h2>
        <fieldset class="switch">
          <legend class="only-heard">over</legend>
          {(["epoch", "step", "time"] as const).map((one) => (
            <label key={one}><input type="radio" name="axis" checked={view === one} onChange={() => setView(one)} /><span>{one}</span></label>
          ))}
        </fieldset>
        <p class="muted hint">drag or + − to zoom, Esc for all</p>
      </div>
      <div class="grid">
        <LineChart {...common} title="Loss" lines={curves.loss} low={0} canLog yText={(y) => number(y)} marks={withY("val_loss")} rules={lossRules}
          {...(curves.hasVal && { fill: [pieces - 1, pieces - 2] as [number, number] })}
          about={`Training and validation loss in nats over the ${view}; the shaded gap between them grows where a net overfits`} />
        <LineChart {...common} title="Accuracy" lines={curves.acc} high={1} notesBelow yText={(y) => percent(y, 2)} yTick={(y) => `${+(100 * y).toFixed(1)} %`} marks={withY("val_acc")}
          about={`Training and validation accuracy over the ${view}`} />
        {[...new Set(told.metrics.map(([, name]) => name))].map((name) => {
          const rows = told.metrics.filter(([, one]) => one === name);
          const places = new Map((epochs["step"] ?? []).map((step, i) => [step, axis.epochs[i]!]));
          const kept = rows.filter(([step]) => places.has(step));
          const words = name.replace("_", " ");
          const line: Line = { name: "validation", look: "validation", x: kept.map(([step]) => places.get(step)!), y: numbers(kept.map(([, , value]) => value)) };
          return <LineChart key={name} {...common} title={words[0]!.toUpperCase() + words.slice(1)} lines={[line]} yText={(y) => number(y)}
            marks={marks} notesBelow about={`${words} of the validation part over the ${view}, by which the best epoch is chosen`} />;
        })}
      </div>
      <div class="grid lower">
        <LineChart {...common} title="Learning rate" lines={[lr]} low={0} canLog height={150} yText={(y) => number(y, 3)} about={`Learning rate over the ${view}`} csv={all("intervals")} />
        <LineChart {...common} title="Throughput" lines={[speed]} low={0} height={150} yText={(y) => rate(y)} yTick={(y) => rateTick(y)} about="Training rows a second, epoch by epoch, validation included" />
      </div>
    </section>
  );
}

function axisOf(view: View, epochs: Told["epochs"], intervals: Told["intervals"]) {
  const column = (table: Told["epochs"], name: string) => numbers(table[name]).map((value) => value ?? 0);
  if (view === "step") {
    return { label: "step", epochs: column(epochs, "step"), intervals: column(intervals, "step"), text: (x: number) => count(Math.round(x)) };
  }
  if (view === "time") {
    return { label: "seconds", epochs: column(epochs, "seconds"), intervals: [], text: (x: number) => duration(x) };
  }
  return { label: "epoch, from 0", epochs: column(epochs, "epoch"), intervals: column(intervals, "epoch"), text: (x: number) => String(Math.round(x)) };
}

// Seconds begin anew where a run goes on: a line never runs back.
function sortedPairs(x: number[], y: (number | null)[]): { x: number[]; y: (number | null)[] } {
  const kept = y.map((_, i) => i).filter((i) => x[i] !== undefined && (i === 0 || x[i]! >= x[i - 1]!));
  return kept.length === y.length ? { x, y } : { x: kept.map((i) => x[i]!), y: kept.map((i) => y[i]!) };
}

function Layers({ told }: { told: Told }) {
  const dark = useDark();
  const [quantity, setQuantity] = useState<"activation_std" | "inactive">("activation_std");
  const grids = useMemo(() => ({
    updates: layerGrid(told.layers, "update_ratio"),
    gradients: layerGrid(told.layers, "gradient_norm"),
    activations: layerGrid(told.layers, quantity),
  }), [told.layers, quantity]);
  const looks = useMemo(() => ({
    gradients: spread(grids.gradients.rows, true),
    activations: quantity === "inactive" ? sequential(0, 1, false) : spread(grids.activations.rows, false),
  }), [grids, quantity]);
  if (!told.layers.length) return null;
  return (
    <section aria-labelledby="layers-title">
      <div class="section-head"><h2 id="layers-title">Layers</h2><p class="muted hint">at one step of each interval, before its update</p></div>
      <div class="grid">
        <Heatmap wide title="Updates beside weights" grid={grids.updates} look={UPDATES} dark={dark}
          about="How large each layer's update is beside its weights, |ΔW| / |W|, step by step; about 1e-3 is sound" />
        <Heatmap title="Gradients" grid={grids.gradients} look={looks.gradients} dark={dark}
          about="The Euclidean norm of each layer's gradient, step by step" />
        <Heatmap title="Activations" grid={grids.activations} look={looks.activations} dark={dark}
          about={quantity === "inactive" ? "The share of each layer's activations that stand still at 0 or at a bound" : "The standard deviation of each layer's activations"}
          extra={
            <fieldset class="switch">
              <legend class="only-heard">what is shown of activations</legend>
              {([["activation_std", "spread"], ["inactive", "inactive share"]] as const).map(([value, text]) => (
                <label key={value}><input type="radio" name="activations" checked={quantity === value} onChange={() => setQuantity(value)} /><span>{text}</span></label>
              ))}
            </fieldset>
          } />
      </div>
    </section>
  );
}

function spread(rows: { values: (number | null)[] }[], log: boolean) {
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    for (const value of row.values) {
      if (value === null || (log && value <= 0)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (!(low <= high)) [low, high] = [0.1, 1];
  return sequential(log ? low : 0, high, log);
}

function Events({ told, facts }: { told: Told; facts: Record<string, unknown> }) {
  const begun = told.events[0]?.[0] ?? 0;
  return (
    <section class="panel" aria-labelledby="events-title">
      <header><h3 id="events-title">What the run wrote</h3></header>
      <ol class="events" tabIndex={0} aria-label="What the run wrote, line by line">
        {told.events.map(([time, kind, text], i) => (
          <li key={i}><time class="muted">{kind === "note" ? "" : `+${duration(time - begun)}`}</time><span><b>{kind === "note" ? "" : `${kind} `}</b>{text}</span></li>
        ))}
      </ol>
      <p class="muted">
        initial loss {number(facts["initial_loss"] as Value)}, chance {number(facts["chance_loss"] as Value)} nats · {count(facts["rows"] as Value)} training rows
      </p>
    </section>
  );
}

function gapOf(validation: Value, training: Value): number | null {
  return typeof validation === "number" && typeof training === "number" ? validation - training : null;
}

function rateTick(value: number): string {
  return value === 0 ? "0" : rate(value).replace(/\.0+ /, " ");
}

async function download(id: string, table: string): Promise<void> {
  const text = await getText(`/api/runs/${id}/tables/${table}.csv`);
  save(new Blob([text], { type: "text/csv" }), `${table}.csv`);
}

