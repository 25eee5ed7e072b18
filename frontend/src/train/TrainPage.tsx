// A new training: the form of a recipe, what it comes to, and the way to its run.

import "./train.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, hasToken, post } from "../api";
import { go, type Query } from "../route";
import { Copy, Findings } from "../run/Findings";
import { Field } from "./Field";
import { mistakesOf, useTraining } from "./follow";
import type { Checked, Form, Mistake, Original, Texts, Training } from "./types";

// What the address holds beside settings.
const WIDE = matchMedia("(min-width: 901px)");
const OUT = "out", FROM = "from", TRAINING = "training";

export function TrainPage({ query }: { query: Query }) {
  const [form, setForm] = useState<Form | null>(null);
  const [original, setOriginal] = useState<Original | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const from = query.get(FROM);
  useEffect(() => void get<Form>("/api/form").then(setForm, (error: Error) => setProblem(error.message)), []);
  useEffect(() => {
    setOriginal(null);
    if (from) get<Original>(`/api/runs/${encodeURIComponent(from)}/settings`).then(setOriginal, (error: Error) => setProblem(error.message));
  }, [from]);
  if (problem) return <main class="page"><p class="alarm" role="alert">{problem}</p></main>;
  if (!form || (from && !original)) return <main class="page"><p class="empty" role="status">reading the settings …</p></main>;
  return <Filled form={form} original={from ? original : null} query={query} />;
}

function Filled({ form, original, query }: { form: Form; original: Original | null; query: Query }) {
  const names = useMemo(() => new Set(form.groups.flatMap((group) => group.settings.map((one) => one.name))), [form]);
  const texts = useMemo(() => textsOf(query, names, original), [query.toString(), original]);
  const out = query.get(OUT) ?? "";
  const [checked, setChecked] = useState<Checked>({ idle: form.idle, mistakes: [] });
  const [refused, setRefused] = useState<Mistake[]>([]);
  const [attempts, setAttempts] = useState(0);
  const [sending, setSending] = useState(false);
  const training = useTraining(query.get(TRAINING));
  const element = useRef<HTMLFormElement>(null);
  const key = JSON.stringify([texts, out]);

  useEffect(() => {
    if (!hasToken()) return;
    let over = false;
    post<Checked>("/api/trainings/check", { texts, out }).then((found) => !over && setChecked(found), (error) => !over && setRefused(mistakesOf(error)));
    return () => void (over = true);
  }, [key]);
  useEffect(() => {
    if (training?.state === "begun") {
      go("train", query, { [TRAINING]: null }); // so that one can go back to the form
      location.hash = `#/run/${training.run}`;
    }
    if (training?.state === "failed" && !training.cancelled) refuse(training.mistakes?.length ? training.mistakes : [{ text: training.problem!, settings: [] }]);
  }, [training?.state]);
  useEffect(() => {
    if (attempts) toFirst();
  }, [attempts]);

  const toFirst = () => (element.current!.querySelector<HTMLElement>("[aria-invalid=true]") ?? element.current!.querySelector<HTMLElement>("[role=alert]"))?.focus();
  const refuse = (mistakes: Mistake[]) => {
    setRefused(mistakes);
    setSending(false);
    setAttempts((n) => n + 1);
  };
  const change = (name: string, text: string) => {
    setRefused(refused.filter((one) => one.settings.length && !one.settings.includes(name)));
    // A copy says of each setting that it lacks now that it is empty.
    go("train", query, { [name]: text || (original?.texts[name] ? "" : null), [TRAINING]: null });
  };
  const start = () => {
    if (sending || starting) return;
    setSending(true);
    setRefused([]);
    post<{ training: string }>("/api/trainings", { texts, out }).then(
      (found) => (setSending(false), go("train", query, { [TRAINING]: found.training })),
      (error) => refuse(mistakesOf(error)),
    );
  };
  const starting = training?.state === "starting" || training?.state === "begun";
  // What is only missing so far is said once one wants to start.
  const begun = (one: Mistake) => !one.settings.length || one.settings.some((name) => texts[name] || (name === OUT && out));
  const shown = uniqueBy([...refused, ...checked.mistakes.filter((one) => attempts > 0 || begun(one))]);
  const general = shown.filter((one) => !one.settings.some((name) => names.has(name) || name === OUT));
  const of = (name: string) => shown.filter((one) => one.settings.includes(name)).map((one) => one.text);
  const given = Object.values(texts).filter(Boolean).length;
  const differing = original ? [...names].filter((name) => (texts[name] ?? "") !== (original.texts[name] ?? "")).length : 0;
  return (
    <main class="page train">
      <div class="train-title">
        <h1>New training</h1>
        {original && <p class="muted">a copy of <a href={`#/run/${query.get(FROM)}`}>{original.name}</a></p>}
      </div>
      {original?.own_module && (
        <p class="note">The recipe of this run names no hidden layers. If it trained a module that was given in Python, a copy from here trains steepest’s own net instead.</p>
      )}
      {original && !original.texts["data"] && <p class="note">The data of this run were objects in memory: name a file, a folder or a data set.</p>}
      <form ref={element} noValidate class="train-columns" onSubmit={(event) => (event.preventDefault(), start())}>
        <div class="groups">
          {general.length > 0 && <div class="alarm" role="alert" tabIndex={-1}>{general.map((one) => <p key={one.text}>{one.text}</p>)}</div>}
          {training?.state === "failed" && (training.cancelled
            ? <p class="note" role="status">{training.name} was cancelled before it had begun; nothing is left of it.</p>
            : <Failed training={training} />)}
          {form.groups.map((group) => <GroupOf key={group.name} group={group} texts={texts} original={original} idle={checked.idle} mistakes={of} change={change} from={form.from} />)}
        </div>
        <aside aria-label="What is trained">
          <div class="panel">
            <OutField text={out} mistakes={of(OUT)} change={(text) => change(OUT, text)} />
            <p class="differ">
              {original
                ? differing === 1 ? "1 setting differs from the original" : `${differing} settings differ from the original`
                : given === 1 ? "1 setting is given" : `${given} settings are given`}
              <span class="muted">; the others {original ? "are as they were" : "have their defaults"}</span>
            </p>
            {shown.length > 0 && (
              <p class="wrong-text"><button type="button" class="mend" onClick={toFirst}>{shown.length === 1 ? "one thing to mend" : `${shown.length} things to mend`}</button></p>
            )}
            {!hasToken() ? <p class="muted">To train from here, open the board by the link that the command printed.</p>
              : starting ? <Starting training={training!} />
              : <button type="submit" class="main" disabled={sending}>Start the training</button>}
            <p class="muted small-text">It goes on when this page or the board is closed. At most {form.at_once} at once.</p>
          </div>
          <Written title="On the command line" text={checked.command} />
          <Written title="As a recipe" text={checked.toml} />
        </aside>
      </form>
    </main>
  );
}

function textsOf(query: Query, names: Set<string>, original: Original | null): Texts {
  const given = [...query].filter(([name]) => names.has(name));
  return { ...original?.texts, ...Object.fromEntries(given) };
}

function uniqueBy(mistakes: Mistake[]): Mistake[] {
  return [...new Map(mistakes.map((one) => [one.text, one])).values()];
}

function GroupOf({ group, texts, original, idle, mistakes, change, from }: {
  group: Form["groups"][number]; texts: Texts; original: Original | null; idle: string[]; from: string | null;
  mistakes: (name: string) => string[]; change: (name: string, text: string) => void;
}) {
  const given = group.settings.filter((one) => texts[one.name]);
  const wrong = group.settings.some((one) => mistakes(one.name).length > 0);
  const [open, setOpen] = useState(given.length > 0 || (group.open && (WIDE.matches || group.name === "Data")));
  useEffect(() => {
    if (wrong) setOpen(true);
  }, [wrong]);
  const used = group.settings.filter((one) => !idle.includes(one.name) || texts[one.name] || mistakes(one.name).length);
  const unused = group.settings.filter((one) => !used.includes(one));
  return (
    <details class="panel group-of" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary><h2>{group.name}</h2>{given.length > 0 && <span class="muted">{given.length} given</span>}</summary>
      {group.name === "Data" && from && <p class="muted small-text">Files may be named from <code>{from}</code>.</p>}
      <div class="settings-grid">
        {used.map((one) => (
          <Field key={one.name} setting={one} text={texts[one.name] ?? ""} before={original ? original.texts[one.name] ?? "" : undefined}
            mistakes={mistakes(one.name)} change={(text) => change(one.name, text)} />
        ))}
      </div>
      {unused.length > 0 && <p class="muted small-text">Without effect beside these: {unused.map((one, i) => <>{i > 0 && ", "}<code key={one.name}>{one.name}</code></>)}</p>}
    </details>
  );
}

function OutField({ text, mistakes, change }: { text: string; mistakes: string[]; change: (text: string) => void }) {
  const setting = { name: "out", help: "name of the run: its place in the folder of the board", default: "data and time", values: [], expected: "", suggested: [] };
  return <Field setting={setting} text={text} mistakes={mistakes} change={change} />;
}

function Starting({ training }: { training: Training }) {
  const [again, setAgain] = useState(false);
  const id = new URLSearchParams(location.hash.split("?")[1]).get(TRAINING)!;
  return (
    <div class="starting" role="status">
      <p><b>Starting {training.name}</b> … {Math.floor(training.seconds)} s</p>
      <p class="muted small-text">A process of its own reads the data and checks the plan.</p>
      <button type="button" class="small" onClick={() => (setAgain(true), void post(`/api/trainings/${encodeURIComponent(id)}/cancel`).catch(() => undefined))}>
        {again ? "End it now" : "Cancel"}
      </button>
    </div>
  );
}

function Failed({ training }: { training: Training }) {
  // What is refused in words stands at its field; what broke printed why.
  const printed = training.mistakes || training.findings ? "" : training.printed;
  if (!training.findings?.length && !printed) return null;
  return (
    <div class="failed">
      <Findings findings={training.findings ?? []} />
      {printed && <details><summary>What it printed</summary><pre>{printed}</pre></details>}
    </div>
  );
}

function Written({ title, text }: { title: string; text: string | undefined }) {
  return (
    <section class="panel written" aria-label={title}>
      <header><h3>{title}</h3>{text && <Copy text={text} what={title.toLowerCase()} />}</header>
      {text ? <pre tabIndex={0}>{text}</pre> : <p class="muted small-text">once the form is in order</p>}
    </section>
  );
}
