// The middle of the page: time, the picture, what its marks mean.

import { useEffect, useState } from "preact/hooks";
import { count } from "../format";
import { useDark } from "../theme";
import { Drawing } from "./Drawing";
import { MARKS, type Surface, bytes, colours } from "./draw/canvas";
import { drawLine } from "./draw/line";
import { type Answers, drawPlane } from "./draw/plane";
import { regionsOf } from "./numbers";
import type { Move, Player } from "./player";
import type { Net, Picture as Now, Unit } from "./types";

const SPEEDS: Record<string, Move> = {
  "1 step": { steps: 1 },
  "5 steps": { steps: 5 },
  "1 epoch": { epochs: 1 },
  "10 epochs": { epochs: 10 },
};

export function Transport({ player }: { player: Player }) {
  const [speed, setSpeed] = useState("1 step");
  player.speed = SPEEDS[speed]!;
  useKeys(player);
  const { picture, points } = player;
  const step = picture?.lanes[0]!.step ?? 0;
  const total = picture && points ? Math.round((picture.total / points.rows) * points.steps_per_epoch) : 1;
  const ready = player.name !== ""; // not while a playground is begun, nor after a refusal
  const still = ready && !player.playing;
  const button = (sign: string, label: string, key: string, move: Move, possible: boolean) => (
    <button type="button" class="small" aria-label={label} title={`${label} (${key})`} disabled={!still || !possible} onClick={() => player.move(move)}>{sign}</button>
  );
  return (
    <div class="transport">
      {button("|‹", "Back to the start", "Home", { to: 0 }, step > 0)}
      {button("«", "One epoch back", "Shift + Left", { epochs: -1 }, step > 0)}
      {button("‹", "One step back", "Left", { steps: -1 }, step > 0)}
      <button type="button" class="play" title="Space" disabled={!ready || (!player.playing && player.ended)} onClick={() => toggle(player)}>{player.playing ? "Pause" : "Play"}</button>
      {button("›", "One step forward", "Right", { steps: 1 }, !player.ended)}
      {button("»", "One epoch forward", "Shift + Right", { epochs: 1 }, !player.ended)}
      <label class="speed">a picture each <select value={speed} onChange={(event) => setSpeed(event.currentTarget.value)}>
        {Object.keys(SPEEDS).map((name) => <option key={name}>{name}</option>)}
      </select></label>
      <input
        class="scrub" type="range" min={0} max={total} value={step} disabled={!ready}
        aria-label="Step of the training" aria-valuetext={`step ${step} of ${total}`}
        onInput={(event) => {
          player.playing = false;
          void player.move({ to: Number(event.currentTarget.value) });
        }}
      />
    </div>
  );
}

function toggle(player: Player): void {
  if (player.playing) player.pause();
  else player.play();
}

const KEYS: Record<string, [Move, Move]> = { // alone, and with Shift
  ArrowRight: [{ steps: 1 }, { epochs: 1 }],
  ArrowLeft: [{ steps: -1 }, { epochs: -1 }],
  Home: [{ to: 0 }, { to: 0 }],
};

// Where no field has the keys, they move the time.
function useKeys(player: Player): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const place = event.target as Element;
      const taken = place.closest("input, select, textarea, button, a, summary, [tabindex='0']");
      if (taken || event.ctrlKey || event.metaKey || event.altKey) return;
      const move = KEYS[event.key]?.[event.shiftKey ? 1 : 0];
      if (event.key === " ") toggle(player);
      else if (move && !player.playing) void player.move(move);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [player]);
}

interface PictureProps {
  player: Player;
  unit: Unit | null;
  showClasses: () => void;
}

export function Picture({ player, unit, showClasses }: PictureProps) {
  const { picture, points } = player;
  if (!picture || !points) return <div class="plane waiting" />;
  const flat = points.columns.length === 1;
  const shown = unit && picture.net ? answersOf(picture.net, unit, points.along_unit) : null;
  const draw = (surface: Surface) => {
    if (flat) drawLine(surface, points, picture);
    else drawPlane(surface, points, picture, shown);
  };
  const title = shown ? unitName(picture.net!, unit!) : flat ? "Probability" : "Regions";
  return (
    <figure class={flat ? "plane flat" : "plane"}>
      <Drawing title={title} draw={draw} label={said(picture, flat)} numbers={() => regionsOf(points, picture, shown)}>
        <h2>{title}</h2>
        {shown && <button type="button" class="small" onClick={showClasses}>Show the classes</button>}
      </Drawing>
      {player.several && !flat && <figcaption>The mean of {picture.lanes.length} nets. Borders: where the most likely class changes.</figcaption>}
    </figure>
  );
}

function said(picture: Now, flat: boolean): string {
  const [lane] = picture.lanes;
  const accuracy = lane!.train_accuracy;
  const how = accuracy === null ? "" : `; ${Math.round(100 * accuracy)} % of the training points are right`;
  return `${flat ? "Probability along the input" : "Regions of the classes"} after ${lane!.step} steps${how}`;
}

function answersOf(net: Net, [layer, k]: Unit, along: number): Answers | null {
  const units = net.units[layer];
  if (!units || k >= units.count) return null;
  const values = bytes(units.answers);
  const each = values.length / units.count;
  return { values: values.subarray(k * each, (k + 1) * each), along };
}

export function unitName(net: Net, [layer, k]: Unit): string {
  if (layer === 0) return `Input ${k + 1}`;
  return layer === net.units.length - 1 ? `Output ${k + 1}` : `Layer ${layer}, unit ${k + 1}`;
}

export function Key({ player }: { player: Player }) {
  const { points } = player;
  useDark();
  if (!points) return null;
  const rate = player.playing && player.rate ? ` · ${Math.round(player.rate)} pictures a second` : "";
  return (
    <ul class="key">
      {points.classes.map((name, i) => (
        <li key={name}><b style={{ color: colours()[i] }} aria-hidden="true">{MARKS[i]}</b> {name}</li>
      ))}
      <li class="muted">filled: trained on · hollow: validation · ringed: next minibatch</li>
      <li class="muted">{count(points.parameters)} weights · the {points.engine} engine{points.engine === "native" ? "" : `, ${points.why}`}{rate}</li>
    </ul>
  );
}
