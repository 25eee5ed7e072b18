// What may be done with a run: stop it, go on with it, make a changed copy of it.

import { useEffect, useState } from "preact/hooks";
import { get, hasToken, post } from "../api";
import { isFile } from "../embedded";
import { Field } from "../train/Field";
import { mistakesOf, useTraining } from "../train/follow";
import type { Form, Mistake, Texts } from "../train/types";

const MAY_GO_ON = new Set(["interrupted", "stopped", "finished", "diverged"]);
const PATIENCE = 15_000;

export function Actions({ id, state }: { id: string; state: string }) {
  const [stopping, setStopping] = useState(false);
  const [late, setLate] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [open, setOpen] = useState(false);
  const running = state === "running";
  useEffect(() => {
    if (running) setOpen(false);
    setStopping(false), setLate(false), setProblem(null);
  }, [running]);
  useEffect(() => {
    if (!stopping) return;
    const timer = setTimeout(() => setLate(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [stopping]);
  const stop = () => {
    setStopping(true);
    setProblem(null);
    post(`/api/runs/${id}/stop`).catch((error: Error) => (setProblem(error.message), setStopping(false)));
  };
  if (isFile) return null;
  const may = hasToken();
  return (
    <>
      <div class="actions">
        {running && <button type="button" class="small" disabled={!may || stopping} onClick={stop}>{stopping ? "Stopping …" : "Stop"}</button>}
        {MAY_GO_ON.has(state) && (
          <button type="button" class="small" disabled={!may} aria-expanded={open} onClick={() => setOpen(!open)}>{state === "finished" ? "Train on" : "Resume"}</button>
        )}
        <a class="small" href={`#/train?from=${id}`}>Copy and change</a>
        {!may && state !== "damaged" && <span class="muted small-text">to stop or resume it, open the board by the link that the command printed</span>}
        <span role="status" class="muted small-text">
          {stopping && (late
            ? "It has not stopped yet: it reads its data, or a step of it is long. It is asked still."
            : "It takes the step that it is in to its end, and is saved.")}
        </span>
      </div>
      {problem && <p class="alarm" role="alert">{problem}</p>}
      {open && <GoOn id={id} ended={state === "finished"} />}
    </>
  );
}

function GoOn({ id, ended }: { id: string; ended: boolean }) {
  const [form, setForm] = useState<Form | null>(null);
  const [before, setBefore] = useState<Texts>({});
  const [texts, setTexts] = useState<Texts>({});
  const [mistakes, setMistakes] = useState<Mistake[]>([]);
  const [asked, setAsked] = useState<string | null>(null);
  const training = useTraining(asked);
  useEffect(() => {
    get<Form>("/api/form").then(setForm, () => undefined);
    get<{ texts: Texts }>(`/api/runs/${id}/settings`).then((found) => setBefore(found.texts), () => undefined);
  }, [id]);
  useEffect(() => {
    if (training?.state === "failed") setMistakes(training.mistakes?.length ? training.mistakes : [{ text: training.problem!, settings: [] }]);
  }, [training?.state]);
  useEffect(() => {
    if (mistakes.length) document.querySelector<HTMLElement>(".go-on [aria-invalid=true]")?.focus();
  }, [mistakes]);
  const start = () => {
    setMistakes([]);
    setAsked(null);
    post<{ training: string }>(`/api/runs/${id}/resume`, { texts }).then((found) => setAsked(found.training), (error) => setMistakes(mistakesOf(error)));
  };
  const starting = training !== null && training.state !== "failed";
  const fields = (form?.groups ?? []).flatMap((group) => group.settings).filter((one) => form!.on_resume.includes(one.name));
  const general = mistakes.filter((one) => !one.settings.some((name) => form?.on_resume.includes(name)));
  return (
    <form class="panel go-on" noValidate aria-label="Go on with this run" onSubmit={(event) => (event.preventDefault(), start())}>
      {general.map((one) => <p key={one.text} class="alarm" role="alert">{one.text}</p>)}
      <div class="settings-grid">
        {fields.map((one) => (
          <Field key={one.name} setting={{ ...one, default: before[one.name] ?? one.default }} text={texts[one.name] ?? ""}
            mistakes={mistakes.filter((wrong) => wrong.settings.includes(one.name)).map((wrong) => wrong.text)}
            change={(text) => (setTexts({ ...texts, [one.name]: text }), setMistakes(mistakes.filter((wrong) => !wrong.settings.includes(one.name))))} />
        ))}
      </div>
      {starting ? <p role="status">Starting … {Math.floor(training.seconds)} s</p>
        : <button type="submit" class="main">{ended ? "Train on" : "Go on from its last checkpoint"}</button>}
    </form>
  );
}

// What its process printed, where a board began it: warnings, and why it broke if it did.
export function Printed({ id, state }: { id: string; state: string }) {
  const [text, setText] = useState("");
  useEffect(() => {
    if (!isFile) get<{ text: string }>(`/api/runs/${id}/output`).then((found) => setText(found.text), () => undefined);
  }, [id, state]);
  if (!text.trim()) return null;
  return (
    <section class="panel printed" aria-labelledby="printed-title">
      <header><h3 id="printed-title">What its process printed</h3></header>
      <pre tabIndex={0}>{text}</pre>
    </section>
  );
}
