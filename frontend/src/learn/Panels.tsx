// Looks behind the picture: the net, lanes, the loss surface, updates, the ledger, health, code.

import { useEffect, useState } from "preact/hooks";
import { save } from "../chart/save";
import { number, percent } from "../format";
import { Card, Copy } from "../run/Findings";
import { Canvas } from "./Canvas";
import { Curves } from "./Curves";
import { unitName } from "./Stage";
import { FAULTS, laneStyle, withFault } from "./choices";
import { drawNet, unitAt } from "./draw/net";
import { drawSmall } from "./draw/plane";
import { drawRatios } from "./draw/ratios";
import { drawSurface } from "./draw/surface";
import { Drawing } from "./Drawing";
import { Choice, Swatch } from "./fields";
import { Formula } from "./formula";
import { lossesOf, updatesOf, weightsOf } from "./numbers";
import type { Player } from "./player";
import type { HealthFound, LedgerEntry, LedgerFound, SurfaceFound, Unit, Wanted } from "./types";

// More lanes than this are drawn as pictures alone, and their curves as a band.
const FEW = 12;

interface Found<T> {
  value?: T;
  error?: string;
  waiting: boolean;
  stale: boolean; // it was found at another moment
  ask: () => void;
}

// What the server finds when it is asked; with `always`, asked again whenever the player stands still.
function useLook<T>(player: Player, what: string, always: boolean): Found<T> {
  const { name } = player;
  const at = `${name} ${player.picture?.samples}`;
  const [found, setFound] = useState<{ name: string; at: string; value?: T; error?: string }>({ name: "", at: "" });
  const [waiting, setWaiting] = useState(false);
  const ask = async () => {
    setWaiting(true);
    try {
      setFound({ name, at, value: await player.look<T>(what) });
    } catch (error) {
      setFound({ name, at, error: (error as Error).message });
    }
    setWaiting(false);
  };
  const due = always && name !== "" && !player.playing && !player.busy && found.at !== at && !waiting;
  useEffect(() => {
    if (due) void ask();
  }, [due, at]);
  const mine = found.name === name ? found : {}; // what was found of another playground is not shown
  return { ...mine, waiting, stale: found.at !== at, ask };
}

function Hint({ text }: { text: string }) {
  return <p class="muted">{text}</p>;
}

interface NetProps {
  player: Player;
  unit: Unit | null;
  setUnit: (unit: Unit | null) => void;
}

export function NetPanel({ player, unit, setUnit }: NetProps) {
  const [lines, setLines] = useState("weights");
  const { picture, points } = player;
  if (!picture || !points) return null;
  const { net } = picture;
  if (!net) return <Hint text="One net is drawn at a time: choose “One net” under Side by side." />;
  const units = Object.fromEntries(net.units.flatMap((layer, i) =>
    Array.from({ length: layer.count }, (_, k) => [`${i},${k}`, unitName(net, [i, k])])));
  const pick = (event: MouseEvent, canvas: HTMLCanvasElement) => {
    const box = canvas.getBoundingClientRect();
    setUnit(unitAt(net, box.width, box.height, event.clientX - box.left, event.clientY - box.top));
  };
  const most = Math.max(...net.units.map((layer) => layer.count));
  const widths = net.units.map((layer) => layer.count).join(", ");
  return (
    <div>
      <Drawing title="Net" class="net-canvas" height={Math.min(420, 40 + 58 * most)} draw={(surface) => drawNet(surface, points, net, lines === "gradients", unit)}
        onClick={pick} label={`The net: ${widths} units, with ${lines} as lines`} numbers={() => weightsOf(net)}>
        <Choice label="Lines show" value={lines} options={["weights", "gradients"]} change={setLines} />
        <Choice label="Large picture" value={unit ? unit.join(",") : ""} options={{ "": "the classes", ...units }} change={(value) => setUnit(value ? (value.split(",").map(Number) as Unit) : null)} />
      </Drawing>
      <Hint text="Solid blue above zero, dashed orange below; the thicker, the larger within its layer. Each square is what a unit answers over the plane." />
    </div>
  );
}

export function LanesPanel({ player }: { player: Player }) {
  const { picture, points } = player;
  if (!picture || !points) return null;
  if (!picture.each) return <Hint text="Choose what runs side by side under Training: optimizers, batch sizes, first weights, seeds." />;
  const { each, lanes } = picture;
  const many = lanes.length > FEW;
  return (
    <div class={many ? "lanes many" : "lanes"}>
      <Curves player={player} />
      <ol>
        {lanes.map((lane, i) => (
          <li key={points.names[i]}>
            {points.columns.length === 2 && <Canvas draw={(canvas) => drawSmall(canvas, points, each[i]!)} label={`Regions of ${points.names[i]}`} />}
            {many ? <span>{percent(lane.validation_accuracy ?? lane.train_accuracy, 0)}</span> : (
              <>
                <strong><Swatch style={laneStyle(i)} /> {points.names[i]}</strong>
                <span>{percent(lane.validation_accuracy ?? lane.train_accuracy, 0)} right</span>
                <span class="muted">loss {number(lane.train_loss, 3)} · step {lane.step}</span>
              </>
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}

export function SurfacePanel({ player }: { player: Player }) {
  const found = useLook<SurfaceFound>(player, "surface", true);
  if (found.error) return <Hint text={found.error} />;
  if (!found.value) return <Hint text="Working out the loss at 1,936 places …" />;
  const { value } = found;
  const few = player.several && value.paths.length <= FEW;
  const styles = value.paths.map((_, i) => (few ? laneStyle(i) : { ...laneStyle(1), dash: [] }));
  return (
    <figure class={found.stale ? "surface stale" : "surface"}>
      <Drawing title="Loss over a plane of weights" draw={(surface) => drawSurface(surface, value, styles)} numbers={() => lossesOf(value)}
        label={`The loss over a plane of weights with ${value.paths.length} paths`}>
        <h3>Loss over a plane of weights</h3>
      </Drawing>
      <figcaption>
        Across: {value.labels[0]}; up: {value.labels[1]}. The deeper the blue, the lower the loss. The disc is now{found.stale ? "; drawn again when the training stands still" : ""}.
      </figcaption>
      {few && <ul class="key">{player.points!.names.map((name, i) => <li key={name}><Swatch style={laneStyle(i)} /> {name}</li>)}</ul>}
    </figure>
  );
}

export function LayersPanel({ player }: { player: Player }) {
  const layers = player.picture?.net?.layers;
  if (!layers) return <Hint text="One net is measured at a time: choose “One net” under Side by side." />;
  const said = layers.map((layer, i) => `layer ${i + 1} ${number(layer.update_ratio, 2)}`).join(", ");
  return (
    <div>
      <p>A healthy step changes weights by about a thousandth of their size: the green band.</p>
      <Drawing title="Updates beside weights" class="ratios-canvas" draw={(surface) => drawRatios(surface, layers)} label={`|ΔW| / |W|: ${said}`} numbers={() => updatesOf(layers)}>
        <h3>|ΔW| / |W|</h3>
      </Drawing>
      <div class="scroll" tabIndex={0} role="region" aria-label="Norms by layer">
        <table>
          <thead><tr><th scope="col">Layer</th><th scope="col">|W|</th><th scope="col">|∂L/∂W|</th><th scope="col">|ΔW| / |W|</th></tr></thead>
          <tbody>
            {layers.map((layer, i) => (
              <tr key={layer.name}>
                <th scope="row">{i + 1} <span class="muted">{layer.weight[0]!.length} → {layer.weight.length}</span></th>
                <td>{number(layer.weight_norm, 3)}</td><td>{number(layer.gradient_norm, 3)}</td><td>{number(layer.update_ratio, 2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

const PHASES = { forward: "Forward", loss: "The loss", backward: "Backward" };

export function LedgerPanel({ player }: { player: Player }) {
  const found = useLook<LedgerFound>(player, "ledger", true);
  if (found.error) return <Hint text={found.error} />;
  if (!found.value) return <Hint text="Working it out …" />;
  const { title, verdict, entries } = found.value;
  return (
    <div class="ledger">
      <p><strong>{title}</strong></p>
      <Hint text={`The first rows of the next minibatch, in float64. ${verdict}`} />
      {Object.entries(PHASES).map(([phase, heading]) => (
        <section key={phase}>
          <h3>{heading}</h3>
          {entries.filter((entry) => entry.phase === phase).map((entry) => <Entry key={entry.name} entry={entry} />)}
        </section>
      ))}
    </div>
  );
}

function Entry({ entry }: { entry: LedgerEntry }) {
  const small = entry.cells.length <= 4 && entry.cells[0]!.length <= 4;
  const against = entry.difference === null ? "" : entry.difference === 0 ? "equal to autograd" : `autograd differs by ${number(entry.difference, 2)}`;
  return (
    <details open={small}>
      <summary>
        <Formula mathml={entry.formula} /> <span class="muted">{entry.dimensions}{entry.module && ` · ${entry.module}`}</span>{" "}
        <span class={entry.agrees ? "muted" : "alarm"}>{against}</span>
      </summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={entry.name}>
        <table class="matrix"><tbody>{entry.cells.map((row, i) => <tr key={i}>{row.map((cell, k) => <td key={k}>{cell}</td>)}</tr>)}</tbody></table>
      </div>
    </details>
  );
}

export function HealthPanel({ player, wanted, setWanted }: { player: Player; wanted: Wanted; setWanted: (wanted: Wanted) => void }) {
  const found = useLook<HealthFound>(player, "health", false);
  const faults = Object.fromEntries(Object.entries(FAULTS).map(([name, { title }]) => [name, title]));
  const now = Object.keys(FAULTS).find((name) => JSON.stringify(withFault(name)) === JSON.stringify(wanted)) ?? "";
  const { value } = found;
  return (
    <div class="health">
      <Choice label="Plant a fault" value={now} options={now ? faults : { "": "settings of your own", ...faults }} change={(name) => name && setWanted(withFault(name))} />
      <button type="button" class="play" disabled={found.waiting || !player.name} onClick={found.ask}>{found.waiting ? "Training and looking …" : "What is wrong?"}</button>
      <Hint text="The training is run again from its beginning, at most 100 epochs or 8 seconds, under steepest's own check and watch." />
      <div aria-live="polite">
        {found.error && <p class="alarm">{found.error}</p>}
        {value && value.findings.length === 0 && <p class="sound"><strong>Nothing was found.</strong>{value.accuracy !== null && ` ${percent(value.accuracy, 0)} of the validation points are right.`}</p>}
        {value?.findings.map((finding) => <Card key={finding.code} finding={finding} />)}
      </div>
    </div>
  );
}

export function CodePanel({ player }: { player: Player }) {
  return (
    <div class="code">
      <p>The first net's training, to the last bit, from the points as a file: <button type="button" class="small" onClick={() => void savePoints(player)}>Save points.csv</button></p>
      <h3>Python</h3>
      <Copied text={player.python} what="the script" />
      <h3>Command line</h3>
      <Copied text={player.command} what="the command" />
    </div>
  );
}

async function savePoints(player: Player): Promise<void> {
  const { csv } = await player.look<{ csv: string }>("csv");
  save(new Blob([csv], { type: "text/csv" }), "points.csv");
}

function Copied({ text, what }: { text: string; what: string }) {
  return (
    <div class="copied">
      <pre tabIndex={0}>{text}</pre>
      <Copy text={text} what={what} />
    </div>
  );
}
