// What the server tells of a playground (src/steepest/board/playground).

import type { Finding } from "../run/model";

export interface Data {
  kind: string;
  classes: number;
  rows: number;
  noise: number;
  seed: number;
  validation: number;
  mislabelled: number;
  stretch: number;
  csv: string | null;
}

export interface Recipe {
  hidden: number[];
  activation: string;
  init: string;
  optimizer: string;
  lr: number;
  batch_size: number | "full";
  epochs: number;
  scaling: string;
  schedule?: string;
  momentum?: number;
  nesterov?: boolean;
  dropout?: number;
  batch_norm?: boolean;
  l1?: number;
  l2?: number;
  mixup?: number;
  seed?: number;
}

export type LaneSettings = Partial<Recipe> & { name: string };
export type Lanes = LaneSettings[] | number | null;

export interface Wanted {
  data: Data;
  recipe: Recipe;
  lanes: Lanes;
}

// The points, and all that does not change while they are trained on.
export interface Points {
  x: number[][];
  y: number[];
  part: number[]; // 0: trained on, 1: validation
  classes: string[];
  columns: string[];
  axes: [number, number][];
  along: number;
  along_unit: number;
  along_small: number;
  chance: number;
  engine: string;
  why: string;
  rows: number;
  steps_per_epoch: number;
  parameters: number;
  names: string[];
}

export interface LaneScore {
  step: number;
  epoch: number;
  samples: number;
  rate: number;
  train_loss: number | null;
  train_accuracy: number | null;
  validation_loss?: number | null;
  validation_accuracy?: number | null;
}

export interface Layer {
  name: string;
  weight: (number | null)[][];
  gradient: (number | null)[][];
  weight_norm: number | null;
  gradient_norm: number | null;
  update_ratio: number | null;
}

export interface Net {
  units: { count: number; largest: number; answers: string }[];
  layers: Layer[];
}

export interface Each {
  decided: string;
  likely: string;
}

export interface Picture {
  samples: number;
  total: number;
  lanes: LaneScore[];
  regions: { probabilities: string[]; spread?: string[] };
  batch: number[];
  each?: Each[];
  net?: Net;
}

export interface Begun {
  name: string;
  points: Points;
  picture: Picture;
  python: string;
  command: string;
}

export interface Scene {
  chapter: string;
  title: string;
  say: string;
  look: string;
  formulas: string[];
  wanted: { data?: Partial<Data>; recipe?: Partial<Recipe>; lanes?: Lanes };
  panel: Panel;
}

export interface SurfaceFound {
  us: number[];
  vs: number[];
  losses: (number | null)[][];
  paths: [number, number][][];
  labels: string[];
}

export interface LedgerEntry {
  name: string;
  formula: string;
  dimensions: string;
  phase: string;
  module: string;
  note: string;
  agrees: boolean;
  difference: number | null;
  cells: string[][];
}

export interface LedgerFound {
  title: string;
  verdict: string;
  entries: LedgerEntry[];
}

export interface HealthFound {
  findings: Finding[];
  status: string;
  accuracy: number | null;
}

// A unit of the net: its layer, 0 for the inputs, and its number within it.
export type Unit = [number, number];

export const PANELS = {
  net: "Net",
  curves: "Curves",
  lanes: "Lanes",
  surface: "Surface",
  layers: "Updates",
  ledger: "Backprop",
  health: "Health",
  code: "Code",
} as const;
export type Panel = keyof typeof PANELS;
