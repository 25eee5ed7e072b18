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
  private frames: number[] = [];

  // changed: called when there is something new to draw.
  constructor(private readonly changed: () => void) {}

  // Begin anew; what was played before is forgotten. A refusal is kept in `error`.
  async begin(wanted: Wanted): Promise<void> {
    this.playing = false;
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

  async move(by: Move): Promise<void> {
    if (!this.name || this.busy) return;
    this.busy = true;
    const turn = this.turn;
    try {
      const wanted = { ...by, net: !this.several };
      const picture = await post<Picture>(`/api/playground/${this.name}/move`, wanted);
      if (turn === this.turn) this.note(picture);
    } catch (error) {
      if (turn === this.turn) {
        this.playing = false;
        this.error = (error as Error).message;
      }
    }
    this.busy = false;
    this.changed();
  }

  play(): void {
    if (this.playing || this.ended || !this.name) return;
    this.playing = true;
    this.error = null;
    this.frames = [];
    const frame = async () => {
      if (!this.playing) return;
      await this.move(this.speed);
      this.frames = [...this.frames.slice(-FRAMES), performance.now()];
      if (this.ended) this.pause();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
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
    this.history = this.history.filter((then) => then.samples < picture.samples);
    this.history.push({ samples: picture.samples, lanes: picture.lanes });
    if (this.history.length > MOST_MOMENTS) this.history = this.history.filter((_, i) => i % 2 === 0);
  }
}
