// What a person may choose in the playground: fields, what runs side by side, faults. As data.

import { colours } from "./draw/canvas";
import type { Data, Lanes, Recipe, Wanted } from "./types";

export const KINDS: Record<string, string> = {
  circles: "Circles",
  checkerboard: "Checkerboard",
  blobs: "Clouds",
  spiral: "Spiral",
  moons: "Moons",
  line: "Line, 1 input",
  cliff: "Cliff, 1 input",
};
export const TWO_CLASSES = ["moons", "line", "cliff"];
export const ACTIVATIONS = ["tanh", "relu", "sigmoid", "leaky_relu", "gelu", "silu", "mish", "selu", "identity"];
export const INITS = ["auto", "xavier", "he", "lecun", "normal", "uniform", "zeros", "ones"];
export const SCALINGS = { standardise: "standardised", minmax: "to [0, 1]", none: "as they are" };
export const SCHEDULES = ["constant", "cosine", "flat_cos", "coslog4", "step", "exponential", "one_cycle"];
export const RATES = [1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 100];
export const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, "full"];
export const OPTIMIZERS = {
  sgd: "SGD",
  momentum: "Momentum 0.9",
  nesterov: "Nesterov 0.9",
  adam: "Adam",
  adamw: "AdamW",
  rmsprop: "RMSprop",
  muon: "Muon",
};
const USUAL_RATE: Record<string, number> = {
  sgd: 0.1, momentum: 0.05, nesterov: 0.05, adam: 0.01, adamw: 0.01, rmsprop: 0.003, muon: 0.02,
};

export const DEFAULT: Wanted = {
  data: {
    kind: "circles", classes: 3, rows: 300, noise: 0.05, seed: 0, validation: 0.3, mislabelled: 0, stretch: 1, csv: null,
  },
  recipe: {
    hidden: [8, 8], activation: "tanh", init: "auto", optimizer: "sgd", lr: 0.1, batch_size: 16, epochs: 400,
    scaling: "standardise",
  },
  lanes: null,
};
export const OWN_POINTS = "x1,x2,class\n-1,-1,A\n1,1,A\n-1,1,B\n1,-1,B\n";

// Several trainings side by side: what differs between them. A number: so many seeds.
export const SIDES: Record<string, [string, (recipe: Recipe) => Lanes]> = {
  one: ["One net", () => null],
  optimizers: ["Optimizers", (recipe) => [
    { name: "SGD", optimizer: "sgd", lr: 0.1 },
    { name: "Momentum", optimizer: "sgd", momentum: 0.9, lr: 0.05 },
    { name: "Adam", optimizer: "adam", lr: 0.01 },
    { name: "RMSprop", optimizer: "rmsprop", lr: 0.003 },
    ...(recipe.hidden.length > 1 ? [{ name: "Muon", optimizer: "muon", lr: 0.02 }] : []),
  ]],
  batches: ["Batch sizes", () => [
    { name: "full batch", batch_size: "full" },
    { name: "minibatch 32", batch_size: 32 },
    { name: "minibatch 8", batch_size: 8 },
    { name: "one at a time", batch_size: 1 },
  ]],
  rates: ["Learning rates", () => [0.001, 0.01, 0.1, 1, 10].map((lr) => ({ name: `rate ${lr}`, lr }))],
  inits: ["Initialisations", () =>
    ["xavier", "he", "normal", "uniform", "zeros", "ones"].map((init) => ({ name: init, init }))],
  penalties: ["Regularisers", () => [
    { name: "none" },
    { name: "L2 0.01", l2: 0.01 },
    { name: "L1 0.003", l1: 0.003 },
    { name: "dropout 0.3", dropout: 0.3 },
    { name: "batch norm", batch_norm: true },
    { name: "mixup 0.4", mixup: 0.4 },
  ]],
  seeds16: ["16 seeds", () => 16],
  seeds100: ["100 seeds", () => 100],
};

interface Fault {
  title: string;
  data?: Partial<Data>;
  recipe?: Partial<Recipe>;
}

// Faults that people really make; health is asked to name them.
export const FAULTS: Record<string, Fault> = {
  none: { title: "No fault" },
  fast: { title: "Learning rate far too high", recipe: { lr: 100 } },
  slow: { title: "Learning rate far too low", recipe: { lr: 1e-6 } },
  zeros: { title: "All weights start at zero", recipe: { init: "zeros" } },
  ones: { title: "All weights start at one", recipe: { init: "ones", activation: "relu" } },
  deep: { title: "Eight layers of sigmoids", recipe: { hidden: Array(8).fill(16), activation: "sigmoid" } },
  units: {
    title: "Inputs a thousand times apart, not scaled",
    data: { kind: "moons", classes: 2, stretch: 1000 },
    recipe: { scaling: "none", activation: "relu" },
  },
  labels: { title: "Labels shuffled", data: { mislabelled: 1 } },
  memory: {
    title: "Far too few points for the net",
    data: { kind: "moons", classes: 2, rows: 24, noise: 0.3 },
    recipe: { hidden: [64, 64], lr: 0.3 },
  },
};

export function withFault(name: string): Wanted {
  const fault = FAULTS[name]!;
  return {
    data: { ...DEFAULT.data, ...fault.data },
    recipe: { ...DEFAULT.recipe, epochs: 100, ...fault.recipe },
    lanes: null,
  };
}

export interface LineStyle {
  colour: string;
  dash: number[];
}
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 4], [12, 3]];

// How a lane is drawn: a colour and a dash, so that colour alone is never needed.
export function laneStyle(i: number): LineStyle {
  return { colour: colours()[i % 6]!, dash: DASHES[i % 6]! };
}

// The optimizer of the form is a kind and its momentum.
export function optimizerOf(recipe: Recipe): string {
  if (recipe.optimizer !== "sgd" || !recipe.momentum) return recipe.optimizer;
  return recipe.nesterov ? "nesterov" : "momentum";
}

export function withOptimizer(recipe: Recipe, choice: string): Recipe {
  const { momentum: _, nesterov: __, ...rest } = recipe;
  const lr = USUAL_RATE[choice]!;
  if (choice === "momentum") return { ...rest, optimizer: "sgd", momentum: 0.9, lr };
  if (choice === "nesterov") return { ...rest, optimizer: "sgd", momentum: 0.9, nesterov: true, lr };
  return { ...rest, optimizer: choice, lr };
}

// A view as the query of an address, and back; null for a link that is broken.
export function toLink(state: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function fromLink(text: string): unknown {
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(raw, (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
}
