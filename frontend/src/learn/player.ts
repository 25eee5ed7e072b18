// One playground of the server, and its time: play, pause, a step, an epoch, back.

import { post } from "../api";
import type { Begun, LaneScore, Picture, Points, Wanted } from "./types";

export interface Moment {
  samples: number;
  lanes: LaneScore[];
}
export interface Move {
  steps?: number;
  epochs?: number;
  to?: number;
}

const MOST_MOMENTS = 3000;
const FRAMES = 30;

export class Player {
  points: Points | null = null;
  picture: Picture | null = null;
  // What has been seen of the scores up to now, by gradients asked for.
  history: Moment[] = [];
  error: string | null = null;
  python = "";
  command = "";
  speed: Move = { steps: 1 };
  playing = false;
  busy = false;
  // Of the playground on the server; empty before there is one.
  name = "";
  private turn = 0;
  private played = -1; // the turn in which it plays
  private waiting: Move | null = null;
  private frames: number[] = [];

  // changed: called when there is something new to draw.
  constructor(private readonly changed: () => void) {}

  // Begin anew; what was played before is forgotten. A refusal is kept in `error`.
  async begin(wanted: Wanted): Promise<void> {
    this.playing = false;
    this.waiting = null;
    this.name = ""; // nothing is asked of the old one any more
    const turn = ++this.turn;
    this.changed();
    try {
      const begun = await post<Begun>("/api/playground", wanted);
      if (turn !== this.turn) return; // another one was begun meanwhile
      Object.assign(this, begun, { error: null, history: [] });
      this.note(begun.picture);
    } catch (error) {
      if (turn !== this.turn) return;
      this.error = (error as Error).message;
    }
    this.changed();
  }

  get ended(): boolean {
    return !this.picture || this.picture.samples >= this.picture.total;
  }

  get several(): boolean {
    return (this.picture?.lanes.length ?? 0) > 1;
  }

  // One request at a time; of those that come meanwhile the last is kept.
  async move(by: Move): Promise<void> {
    if (!this.name) return;
    if (this.busy) {
      this.waiting = by;
      return;
    }
    this.busy = true;
    const { turn } = this;
    this.take(await this.ask(by), turn);
    this.settle();
  }

  // While one picture is drawn, the next is asked for; it is shown even if one pauses meanwhile, for the server is there.
  play(): void {
    if (this.playing || this.ended || !this.name) return;
    const { turn } = this;
    if (this.busy && this.played !== turn) return;
    this.playing = true;
    this.error = null;
    this.frames = [];
    this.changed();
    if (this.busy) return; // its last picture has not come yet: it goes on from there
    this.busy = true;
    this.played = turn;
    const run = async () => {
      let next = this.ask(this.speed);
      while (this.take(await next, turn) && this.playing && !this.ended) {
        next = this.ask(this.speed);
        this.frames = [...this.frames.slice(-FRAMES), performance.now()];
        this.changed();
        await new Promise(requestAnimationFrame);
      }
      this.played = -1;
      if (turn === this.turn) this.playing = false;
      this.settle();
    };
    void run();
  }

  // What the server answers: a picture, or why there is none.
  private ask(by: Move): Promise<Picture | Error> {
    const wanted = { ...by, net: !this.several };
    return post<Picture>(`/api/playground/${this.name}/move`, wanted).catch((error: Error) => error);
  }

  // Whether it was a picture of what is shown.
  private take(answer: Picture | Error, turn: number): boolean {
    if (turn !== this.turn) return false; // another playground was begun meanwhile
    if (!(answer instanceof Error)) this.note(answer);
    else [this.playing, this.error] = [false, answer.message];
    return !(answer instanceof Error);
  }

  private settle(): void {
    this.busy = false;
    const by = this.waiting;
    this.waiting = null;
    if (by) void this.move(by);
    this.changed();
  }

  pause(): void {
    this.playing = false;
    this.changed();
  }

  // Pictures a second, over the last ones; null while too few have been seen.
  get rate(): number | null {
    const times = this.frames;
    if (times.length < 5) return null;
    return (1000 * (times.length - 1)) / (times.at(-1)! - times[0]!);
  }

  async look<T>(what: string): Promise<T> {
    return post<T>(`/api/playground/${this.name}/${what}`, {});
  }

  private note(picture: Picture): void {
    this.picture = picture;
    while (this.history.length && this.history.at(-1)!.samples >= picture.samples) this.history.pop();
    this.history.push({ samples: picture.samples, lanes: picture.lanes });
    if (this.history.length > MOST_MOMENTS) this.history = this.history.filter((_, i) => i % 2 === 0);
  }
}
