// What a run predicts for its held-out rows: who is taken for whom, whether it is as sure as it may
// be, and its worst mistakes. A record does not have it: it is computed when one asks.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, hasToken, post } from "../api";
import { isFile } from "../embedded";
import { Panel } from "../chart/Panel";
import { linear } from "../chart/scale";
import { useWidth } from "../chart/size";
import { count, number, percent, type Value } from "../format";

interface Bin { confidence: number; accuracy: number; rows: number }

interface Mistake {
  row: number;
  true: string;
  predicted: string;
  probability: number;
  true_probability: number;
  columns: Record<string, string>;
  pixels: (number | number[])[][] | null;
}

interface Evaluation {
  part: string;
  rows: number;
  loss: Value;
  accuracy: Value;
  balanced_accuracy: Value;
  roc_auc: Value;
  expected_calibration_error: Value;
  classes: { name: string; precision: number; recall: number; f1: number; support: number }[];
  confusion: number[][] | null;
  multilabel: boolean;
  calibration: Bin[];
  mistakes: Mistake[];
}

interface Answer { state: "none" | "computing" | "done" | "failed"; problem?: string; found?: Evaluation }

export function Predictions({ id, ended }: { id: string; ended: boolean }) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const path = `/api/runs/${id}/evaluation`;
  useEffect(() => {
    if (ended && !isFile) get<Answer>(path).then(setAnswer, () => setAnswer({ state: "none" }));
  }, [id, ended]);
  useEffect(() => {
    if (answer?.state !== "computing") return;
    const timer = setInterval(() => void get<Answer>(path).then(setAnswer, () => undefined), 500);
    return () => clearInterval(timer);
  }, [answer?.state]);
  const ask = () => post<Answer>(path).then(setAnswer, (error: Error) => setAnswer({ state: "failed", problem: error.message }));
  const found = answer?.state === "done" ? answer.found! : null;
  return (
    <section aria-labelledby="predictions-title">
      <div class="section-head">
        <h2 id="predictions-title">Predictions</h2>
        {found && <p class="muted">{found.part} part, {count(found.rows)} rows</p>}
      </div>
      {found ? <Found found={found} /> : (
        <div class="panel ask">
          <p>Confusion matrix, calibration and worst mistakes are not in the record of a run.</p>
          {!ended && !isFile ? <p class="muted">Once it has ended, they can be computed here from its saved net.</p>
            : isFile ? <p class="muted">A file cannot compute them: <code>steepest board</code> or <code>steepest evaluate</code> does, where the run is.</p>
            : !hasToken() ? <p class="muted">To compute them here, open the board by the link that the command printed; or <code>steepest evaluate</code>.</p>
            : <button type="button" class="main" disabled={answer?.state === "computing"} onClick={() => void ask()}>
                {answer?.state === "computing" ? "Evaluating …" : "Evaluate on the held-out rows"}
              </button>}
          {answer?.problem && <p class="alarm" role="alert">{answer.problem}</p>}
        </div>
      )}
    </section>
  );
}

function Found({ found }: { found: Evaluation }) {
  return (
    <>
      <dl class="figures small-figures">
        {([["loss", number(found.loss)], ["accuracy", percent(found.accuracy, 2)], ["balanced accuracy", percent(found.balanced_accuracy, 2)],
          ["ROC AUC", number(found.roc_auc)], ["calibration error", percent(found.expected_calibration_error, 2)]] as const)
          .map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      <div class="grid">
        {found.confusion && <Confusion found={found} />}
        <Calibration bins={found.calibration} error={found.expected_calibration_error} />
        <Mistakes mistakes={found.mistakes} multilabel={found.multilabel} />
      </div>
    </>
  );
}

const LABEL = 7.2;

function Confusion({ found }: { found: Evaluation }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const names = found.classes.map((one) => one.name);
  const across = found.multilabel ? ["neither", "only predicted", "only true", "both"] : names;
  const counts = found.confusion!;
  const left = Math.min(Math.max(3, ...names.map((name) => name.length)) * LABEL + 16, 130);
  const cell = Math.max(4, Math.min(46, (width - left - 8) / across.length));
  const row = Math.max(10, Math.min(30, cell));
  const turned = Math.max(...across.map((name) => name.length)) * LABEL > cell;
  const foot = turned ? Math.min(84, Math.max(...across.map((name) => name.length)) * 5.4 + 28) : 36;
  const [width_, height] = [left + cell * across.length + 8, row * names.length + foot];
  const about = `Rows by their true class, down, and the predicted one, across; ${percent(found.accuracy, 1)} lie on the diagonal`;
  return (
    <Panel title="Confusion matrix" about={about} svg={svg}
      table={() => [["true class", ...across], counts.map((line, i) => [names[i]!, ...line])]}>
      <div ref={box} class="plot">
        {width > 0 && (
          <svg ref={svg} width={width_} height={height} role="img" aria-label={about}>
            {counts.map((line, i) => {
              const total = Math.max(1, line.reduce((a, b) => a + b, 0));
              return (
                <g key={i}>
                  <text x={left - 6} y={(i + 0.5) * row} text-anchor="end" dominant-baseline="central">{cut(names[i]!, left)}</text>
                  {line.map((n, j) => {
                    const share = n / total;
                    const right = i === j && !found.multilabel;
                    return (
                      <g key={j}>
                        <rect class={right ? "right-cell" : "wrong-cell"} x={left + j * cell} y={i * row} width={cell - 1} height={row - 1}
                          style={{ fillOpacity: n === 0 ? 0.04 : 0.12 + 0.88 * share ** 0.7 }}>
                          <title>{`${names[i]} predicted as ${across[j]}: ${n}`}</title>
                        </rect>
                        {cell >= 20 && n > 0 && (
                          <text class={0.12 + 0.88 * share ** 0.7 > 0.5 ? "on-dark" : "value"} x={left + (j + 0.5) * cell - 0.5} y={(i + 0.5) * row}
                            text-anchor="middle" dominant-baseline="central">{n}</text>
                        )}
                      </g>
                    );
                  })}
                </g>
              );
            })}
            {cell >= 9 && across.map((name, j) => (
              <text key={j} {...(turned
                ? { "text-anchor": "end" as const, transform: `translate(${left + (j + 0.6) * cell} ${row * names.length + 12}) rotate(-38)` }
                : { "text-anchor": "middle" as const, x: left + (j + 0.5) * cell, y: row * names.length + 15 })}>{cut(name, 90)}</text>
            ))}
            <text class="axis-name" x={width_ - 8} y={height - 4} text-anchor="end">{found.multilabel ? "" : "predicted"}</text>
            <text class="axis-name" x={left - 6} y={height - 4} text-anchor="end">true</text>
          </svg>
        )}
      </div>
    </Panel>
  );
}

function Calibration({ bins, error }: { bins: Bin[]; error: Value }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const height = 300, left = 52, right = 22, top = 10, foot = height - 84;
  const x = linear([0, 1], left, Math.max(left + 10, width - right), 5);
  const y = linear([0, 1], foot, top, 5);
  const most = Math.max(1, ...bins.map((bin) => bin.rows));
  const about = `Accuracy over confidence in ${bins.length} bins; on the diagonal the net is right as often as it says. Calibration error ${percent(error, 2)}`;
  const path = useMemo(() => bins.map((bin, i) => `${i ? "L" : "M"}${x.at(bin.confidence)} ${y.at(bin.accuracy)}`).join(""), [bins, width]);
  return (
    <Panel title="Calibration" about={about} svg={svg}
      table={() => [["confidence", "accuracy", "rows"], bins.map((bin) => [bin.confidence, bin.accuracy, bin.rows])]}>
      <div ref={box} class="plot">
        {width > 0 && (
          <svg ref={svg} width={width} height={height} role="img" aria-label={about}>
            {y.ticks.map((tick) => (
              <g key={tick}>
                <line class="grid" x1={left} x2={width - right} y1={y.at(tick)} y2={y.at(tick)} />
                <text x={left - 8} y={y.at(tick)} text-anchor="end" dominant-baseline="central">{`${Math.round(100 * tick)} %`}</text>
              </g>
            ))}
            <line class="mark" x1={x.at(0)} x2={x.at(1)} y1={y.at(0)} y2={y.at(1)} />
            <text class="note" x={x.at(0.03)} y={y.at(0.03) - 22}>dotted: as sure as right</text>
            <path class="line plain" d={path} />
            {bins.map((bin) => (
              <g key={bin.confidence}>
                <circle class="dot" cx={x.at(bin.confidence)} cy={y.at(bin.accuracy)} r={2 + 4 * Math.sqrt(bin.rows / most)}>
                  <title>{`confidence ${percent(bin.confidence)}, accuracy ${percent(bin.accuracy)}, ${bin.rows} rows`}</title>
                </circle>
                <rect class="bar" x={x.at(bin.confidence) - 5} width="10" y={height - 36 - (34 * bin.rows) / most} height={(34 * bin.rows) / most} />
              </g>
            ))}
            <line class="base" x1={left} x2={width - right} y1={height - 36} y2={height - 36} />
            <text x={left - 8} y={height - 44} text-anchor="end">rows</text>
            {x.ticks.map((tick) => <text key={tick} x={x.at(tick)} y={height - 20} text-anchor="middle">{`${Math.round(100 * tick)} %`}</text>)}
            <text class="axis-name" x={width - right} y={height - 4} text-anchor="end">confidence in the likeliest class</text>
          </svg>
        )}
      </div>
    </Panel>
  );
}

function Mistakes({ mistakes, multilabel }: { mistakes: Mistake[]; multilabel: boolean }) {
  const pictures = mistakes.length > 0 && mistakes.every((one) => one.pixels);
  const columns = Object.keys(mistakes[0]?.columns ?? {});
  return (
    <Panel title="Worst mistakes" wide about="Wrong predictions, those first of which the net was surest"
      table={() => [["row", "true", "predicted", "confidence", ...columns],
        mistakes.map((one) => [one.row, one.true, one.predicted, one.probability, ...columns.map((name) => one.columns[name] ?? null)])]}>
      {!mistakes.length && <p class="empty">{multilabel ? "rows with several classes have no one wrong prediction" : "no row is predicted wrongly"}</p>}
      {pictures ? (
        <ul class="mistakes">
          {mistakes.map((one) => (
            <li key={one.row}>
              <Picture pixels={one.pixels!} text={`row ${one.row}, a ${one.true}`} />
              <p><span class="muted">true</span> <b>{one.true}</b></p>
              <p><span class="muted">said</span> <b>{one.predicted}</b> <span class="nowrap">{percent(one.probability, 0)}</span></p>
            </li>
          ))}
        </ul>
      ) : mistakes.length > 0 && (
        <div class="numbers" tabIndex={0} role="region" aria-label="Worst mistakes, row by row">
          <table class="words">
            <thead><tr>{["row", "true", "predicted", "confidence", ...columns].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
            <tbody>
              {mistakes.map((one) => (
                <tr key={one.row}>
                  <td>{one.row}</td><td>{one.true}</td><td><b>{one.predicted}</b></td><td>{percent(one.probability)}</td>
                  {columns.map((name) => <td key={name}>{one.columns[name]}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Picture({ pixels, text }: { pixels: (number | number[])[][]; text: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [height, width] = [pixels.length, pixels[0]!.length];
  useEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    const image = context.createImageData(width, height);
    pixels.forEach((line, y) => line.forEach((level, x) => {
      const [r, g, b] = typeof level === "number" ? [level, level, level] : level;
      image.data.set([r!, g!, b!, 255], 4 * (y * width + x));
    }));
    context.putImageData(image, 0, 0);
  }, [pixels]);
  return <canvas ref={canvas} width={width} height={height} role="img" aria-label={text} />;
}

function cut(name: string, width: number): string {
  const most = Math.max(3, Math.floor((width - 10) / LABEL));
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}
