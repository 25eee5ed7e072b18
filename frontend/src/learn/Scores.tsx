// How good it is now: the mean over the lanes, the most important numbers largest.

import { count, number, percent } from "../format";
import type { Player } from "./player";
import type { LaneScore } from "./types";

type Key = "train_loss" | "train_accuracy" | "validation_loss" | "validation_accuracy";

export function Scores({ player }: { player: Player }) {
  const { picture, points, history } = player;
  if (!picture || !points) return null;
  const { lanes } = picture;
  const [train, validation] = [mean(lanes, "train_loss"), mean(lanes, "validation_loss")];
  const [first] = history;
  const start = first && first.samples === 0 ? mean(first.lanes, "train_loss") : null;
  return (
    <>
      <dl class="scores large">
        {validation !== null && <Figure of="Validation accuracy" is={percent(mean(lanes, "validation_accuracy"))} />}
        <Figure of="Training accuracy" is={percent(mean(lanes, "train_accuracy"))} />
      </dl>
      <dl class="scores">
        {validation !== null && <Figure of="Validation loss" is={number(validation, 3)} />}
        <Figure of="Training loss" is={number(train, 3)} />
        {validation !== null && <Figure of="Gap" is={train === null ? "–" : (validation - train).toFixed(3)} />}
        <Figure of="Loss at start · log C" is={`${number(start, 4)} · ${number(points.chance, 4)}`} />
        <Figure of="Step · epoch" is={`${count(lanes[0]!.step)} · ${lanes[0]!.epoch.toFixed(1)}`} />
        <Figure of="Gradients asked for" is={count(picture.samples)} />
      </dl>
    </>
  );
}

function Figure({ of, is }: { of: string; is: string }) {
  return <div><dt>{of}</dt><dd>{is}</dd></div>;
}

function mean(lanes: LaneScore[], key: Key): number | null {
  const known = lanes.map((lane) => lane[key]).filter((value) => typeof value === "number");
  return known.length ? known.reduce((a, b) => a + b) / known.length : null;
}
