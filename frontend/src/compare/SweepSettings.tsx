// Of a sweep: which settings decide the measure, and the measure by each two of them. The numbers are
// those of `sweep.importance()` and `sweep.plot("heatmap")`: a process of the server works them out.

import { useEffect, useState } from "preact/hooks";
import { get, hasToken, post } from "../api";
import { isFile } from "../embedded";
import { count } from "../format";
import type { Query } from "../route";
import type { Sweep } from "../table/store";
import { ImportanceBars, type Importance } from "./ImportanceBars";
import { PairHeatmap, type Cells } from "./PairHeatmap";

type Or<T> = T | { problem: string };

interface Found {
  runs: number;
  metrics: Record<string, { importance: Or<Importance>; heatmaps: Or<Record<string, Cells>> }>;
}

interface Answer { state: "none" | "computing" | "done" | "failed"; problem?: string; found?: Found }

export function SweepSettings({ sweep, metric, query, set }: {
  sweep: Sweep; metric: string; query: Query; set: (changes: Record<string, string | null>) => void;
}) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const path = `/api/sweeps/${sweep.id}/settings`;
  const failed = (error: Error) => setAnswer({ state: "failed", problem: error.message });
  const ask = () => void post<Answer>(path).then(setAnswer, failed);
  useEffect(() => void get<Answer>(path).then(setAnswer, failed), [path]);
  useEffect(() => {
    if (answer?.state === "none" && hasToken()) ask();
    if (answer?.state !== "computing") return;
    const timer = setInterval(() => void get<Answer>(path).then(setAnswer, failed), 500);
    return () => clearInterval(timer);
  }, [answer?.state]);
  const found = answer?.found;
  const mine = found?.metrics[metric];
  const why = answer?.problem ?? (found ? "this is not worked out for time and throughput"
    : hasToken() || isFile ? "working out which settings matter …"
    : "To work it out, open the board by the link that the command printed; or sweep.importance() in Python.");
  const newer = found && !isFile ? sweep.done - found.runs : 0;
  return (
    <section aria-labelledby="matters-title">
      <div class="section-head">
        <h2 id="matters-title">What matters</h2>
        {newer > 0 && <span class="muted">{count(newer)} runs have ended since <button type="button" class="small" onClick={ask}>Work it out again</button></span>}
      </div>
      {mine ? (
        <div class="grid">
          {"problem" in mine.importance ? <Why title="Importance of settings" text={mine.importance.problem} />
            : <ImportanceBars importance={mine.importance} metric={metric} />}
          {"problem" in mine.heatmaps ? <Why title="Two settings" text={mine.heatmaps.problem as string} />
            : <PairHeatmap heatmaps={mine.heatmaps as Record<string, Cells>} metric={metric} x={query.get("x")} y={query.get("y")} choose={set} />}
        </div>
      ) : <div class="panel"><p class="empty" role="status">{why}</p></div>}
    </section>
  );
}

function Why({ title, text }: { title: string; text: string }) {
  return <section class="panel"><header><h3>{title}</h3></header><p class="empty">{text}</p></section>;
}
