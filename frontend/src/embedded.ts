// A page that is a file (`steepest board --export`) has the server's answers within it, by their paths.

import type { Table } from "./run/model";

type Answers = Record<string, unknown>;

const element = document.getElementById("answers");
const answers: Answers | null = element && (JSON.parse(element.textContent!) as Answers);

// Whether there is no server behind this page.
export const isFile = answers !== null;

const LEFT_OUT = "This was left out, for the file would be too large: steepest board shows it where the runs are.";

export function answered(path: string): unknown {
  const [place = "", query = ""] = path.split("?");
  if (place === "/api/curves") return curves(new URLSearchParams(query).get("runs")!.split(","));
  const found = answers![path] ?? answers![place];
  if (found === undefined) throw new Error(LEFT_OUT);
  return found;
}

// The curves of some runs are those of their pages.
function curves(ids: string[]): Record<string, Table> {
  const page = (id: string) => (id.includes("/") ? `/api/sweeps/${id.replace("/", "/runs/")}` : `/api/runs/${id}/stream`);
  const found = ids.map((id) => [id, (answers![page(id)] as { epochs: Table } | undefined)?.epochs] as const);
  return Object.fromEntries(found.filter((one): one is [string, Table] => one[1] !== undefined));
}
