// What the server says of a form and of a training. Settings are nowhere listed but there.

import type { Finding } from "../run/model";

export interface Setting {
  name: string;
  help: string;
  default: string;
  values: string[]; // of few values; else any text
  expected: string;
  suggested: string[];
}

export interface Group {
  name: string;
  open: boolean;
  settings: Setting[];
}

export interface Form {
  groups: Group[];
  idle: string[];
  on_resume: string[];
  from: string | null;
  at_once: number;
}

export interface Mistake {
  text: string;
  settings: string[];
}

export interface Checked {
  idle: string[];
  mistakes: Mistake[];
  toml?: string;
  command?: string;
}

export interface Training {
  state: "starting" | "begun" | "failed";
  seconds: number;
  name: string;
  run: string;
  problem?: string;
  mistakes?: Mistake[];
  findings?: Finding[];
  printed?: string;
  cancelled?: boolean;
}

export interface Original {
  texts: Record<string, string>;
  name: string;
  own_module: boolean;
}

export type Texts = Record<string, string>;
