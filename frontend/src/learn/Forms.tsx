// What is trained: the points, the net, and how.

import { useState } from "preact/hooks";
import * as choices from "./choices";
import { Choice, NumberField, Switch } from "./fields";
import type { Data, Recipe, Wanted } from "./types";

export function DataForm({ data, change }: { data: Data; change: (part: Partial<Data>) => void }) {
  const two = choices.TWO_CLASSES.includes(data.kind);
  const pick = (kind: string) => {
    if (kind === "own") change({ csv: choices.OWN_POINTS });
    else change({ kind, csv: null, ...(choices.TWO_CLASSES.includes(kind) ? { classes: 2 } : {}) });
  };
  return (
    <fieldset>
      <legend>Data</legend>
      <Choice label="Points" value={data.csv === null ? data.kind : "own"} options={{ ...choices.KINDS, own: "Own CSV" }} change={pick} />
      {data.csv !== null ? <OwnPoints key={data.csv} text={data.csv} use={(csv) => change({ csv })} /> : (
        <>
          <Choice label="Classes" value={two ? 2 : data.classes} options={[2, 3, 4, 5]} disabled={two} change={(n) => change({ classes: Number(n) })} />
          <NumberField label="How many" value={data.rows} low={4} high={2000} step={1} change={(rows) => change({ rows })} />
          <NumberField label="Noise" value={data.noise} low={0} high={1} step={0.01} slider change={(noise) => change({ noise })} />
        </>
      )}
      <NumberField label="Validation" value={data.validation} low={0} high={0.9} step={0.05} slider percent change={(validation) => change({ validation })} />
      <NumberField label="Data seed" value={data.seed} low={0} high={9999} step={1} change={(seed) => change({ seed })} />
    </fieldset>
  );
}

// Own points are taken when they are complete: at a press, or when a file is opened.
function OwnPoints({ text, use }: { text: string; use: (csv: string) => void }) {
  const [now, setNow] = useState(text);
  const read = async (file: File | undefined) => {
    if (file) use(await file.slice(0, 60_000).text());
  };
  return (
    <div class="own">
      <label for="own-points">One or two columns of numbers, then the class</label>
      <textarea id="own-points" rows={6} spellcheck={false} value={now} onInput={(event) => setNow(event.currentTarget.value)} />
      <div class="together">
        <button type="button" class="small" onClick={() => use(now)}>Use these</button>
        <label class="small file">Open a file<input type="file" accept=".csv,.txt,text/csv,text/plain" onChange={(event) => read(event.currentTarget.files?.[0])} /></label>
      </div>
    </div>
  );
}

export function NetForm({ recipe, change }: { recipe: Recipe; change: (part: Partial<Recipe>) => void }) {
  const { hidden } = recipe;
  const none = hidden.length === 0;
  const widen = (i: number, text: string) => {
    const width = Math.max(1, Math.min(64, Math.round(Number(text)) || 1));
    change({ hidden: hidden.map((before, k) => (k === i ? width : before)) });
  };
  return (
    <fieldset>
      <legend>Net</legend>
      <div class="widths" role="group" aria-label="Hidden layers">
        {hidden.map((width, i) => (
          <input key={i} type="number" min={1} max={64} value={width} aria-label={`Units of hidden layer ${i + 1}`} onChange={(event) => widen(i, event.currentTarget.value)} />
        ))}
        {none && <span class="muted">no hidden layer</span>}
        <button type="button" class="small" disabled={hidden.length > 7} aria-label="Add a hidden layer" onClick={() => change({ hidden: [...hidden, hidden.at(-1) ?? 8] })}>+</button>
        <button type="button" class="small" disabled={none} aria-label="Remove the last hidden layer" onClick={() => change({ hidden: hidden.slice(0, -1) })}>−</button>
      </div>
      <Choice label="Activation" value={recipe.activation} options={choices.ACTIVATIONS} disabled={none} change={(activation) => change({ activation })} />
      <Choice label="First weights" value={recipe.init} options={choices.INITS} change={(init) => change({ init })} />
      <Choice label="Inputs" value={recipe.scaling} options={choices.SCALINGS} change={(scaling) => change({ scaling })} />
      <NumberField label="Dropout" value={recipe.dropout ?? 0} low={0} high={0.8} step={0.05} slider disabled={none} change={(dropout) => change({ dropout })} />
      <Switch label="Batch norm" value={recipe.batch_norm ?? false} disabled={none} change={(batch_norm) => change({ batch_norm })} />
    </fieldset>
  );
}

interface TrainingProps {
  wanted: Wanted;
  side: string;
  change: (part: Partial<Recipe>) => void;
  replace: (recipe: Recipe) => void;
  pickSide: (side: string) => void;
}

export function TrainingForm({ wanted: { recipe }, side, change, replace, pickSide }: TrainingProps) {
  const sides = Object.fromEntries(Object.entries(choices.SIDES).map(([name, [title]]) => [name, title]));
  const rates = [...new Set([...choices.RATES, recipe.lr])].sort((a, b) => a - b);
  const sizes = [...new Set([...choices.BATCHES, recipe.batch_size])];
  return (
    <fieldset>
      <legend>Training</legend>
      <Choice label="Side by side" value={side} options={side === "scene" ? { scene: "The chapter’s", ...sides } : sides} change={pickSide} />
      <Choice label="Optimizer" value={choices.optimizerOf(recipe)} options={choices.OPTIMIZERS} change={(one) => replace(choices.withOptimizer(recipe, one))} />
      <Choice label="Learning rate" value={recipe.lr} options={rates} change={(lr) => change({ lr: Number(lr) })} />
      <Choice label="Batch size" value={recipe.batch_size} options={sizes} change={(size) => change({ batch_size: size === "full" ? "full" : Number(size) })} />
      <Choice label="Schedule" value={recipe.schedule ?? "constant"} options={choices.SCHEDULES} change={(schedule) => change({ schedule })} />
      <NumberField label="L2, λ" value={recipe.l2 ?? 0} low={0} high={1} step={0.001} change={(l2) => change({ l2 })} />
      <NumberField label="L1, λ" value={recipe.l1 ?? 0} low={0} high={1} step={0.001} change={(l1) => change({ l1 })} />
      <NumberField label="Epochs" value={recipe.epochs} low={1} high={10000} step={1} change={(epochs) => change({ epochs })} />
      <NumberField label="Seed" value={recipe.seed ?? 0} low={0} high={9999} step={1} change={(seed) => change({ seed })} />
    </fieldset>
  );
}
