// Learn: the lecture's playground on the real engine.

import { useEffect, useMemo, useReducer, useState } from "preact/hooks";
import { get } from "../api";
import { go } from "../route";
import { DataForm, NetForm, TrainingForm } from "./Forms";
import { CodePanel, HealthPanel, LanesPanel, LayersPanel, LedgerPanel, NetPanel, SurfacePanel } from "./Panels";
import { Curves } from "./Curves";
import { Scores } from "./Scores";
import { Key, Picture, Transport } from "./Stage";
import { DEFAULT, SIDES, fromLink, toLink } from "./choices";
import { Formula } from "./formula";
import "./learn.css";
import { Player } from "./player";
import { type Data, PANELS, type Panel, type Recipe, type Scene, type Unit, type Wanted } from "./types";

// All that a link holds.
interface View {
  wanted: Wanted;
  side: string; // what runs side by side; "scene" for what a chapter has
  chapter: string;
  panel: Panel;
}

const FIRST: View = { wanted: DEFAULT, side: "one", chapter: "", panel: "net" };

export function LearnPage({ query }: { query: URLSearchParams }) {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const player = useMemo(() => new Player(() => redraw(null)), []);
  const [view, setView] = useState<View>(() => ({ ...FIRST, ...(fromLink(query.get("v") ?? "") as View | null) }));
  const [unit, setUnit] = useState<Unit | null>(null);
  const [scenes, setScenes] = useState<Scene[]>([]);
  useEffect(() => void get<Scene[]>("/api/playground/scenes").then(setScenes, (error: Error) => {
    player.error = error.message;
    redraw(null);
  }), []);
  const wanted = JSON.stringify(view.wanted);
  useEffect(() => {
    setUnit(null);
    void player.begin(view.wanted);
  }, [wanted]);
  useEffect(() => go("learn", new URLSearchParams(), { v: toLink(view) }), [view]);
  useEffect(() => () => player.pause(), []);

  const change = (part: Partial<View>) => setView((now) => ({ ...now, ...part }));
  const want = (part: Partial<Wanted>) => change({ chapter: "", wanted: { ...view.wanted, ...part } });
  const changeData = (part: Partial<Data>) => want({ data: { ...view.wanted.data, ...part } });
  const changeRecipe = (part: Partial<Recipe>) => want({ recipe: { ...view.wanted.recipe, ...part } });
  const pickSide = (side: string) => {
    const lanes = SIDES[side]![1](view.wanted.recipe);
    change({ side, chapter: "", panel: lanes ? "lanes" : view.panel === "lanes" ? "net" : view.panel, wanted: { ...view.wanted, lanes } });
  };
  const enter = ({ chapter, panel, wanted: { data, recipe, lanes = null } }: Scene) => change({
    chapter, panel, side: lanes === null ? "one" : "scene",
    wanted: { data: { ...DEFAULT.data, ...data }, recipe: { ...DEFAULT.recipe, ...recipe }, lanes },
  });
  // The same elements until one changes something: pictures come too often to compare them.
  const form = useMemo(() => (
    <form class="settings-form" aria-label="What is trained" onSubmit={(event) => event.preventDefault()}>
      <DataForm data={view.wanted.data} change={changeData} />
      <NetForm recipe={view.wanted.recipe} change={changeRecipe} />
      <TrainingForm wanted={view.wanted} side={view.side} change={changeRecipe} replace={(recipe) => want({ recipe })} pickSide={pickSide} />
    </form>
  ), [view]);
  const scene = scenes.find((one) => one.chapter === view.chapter);
  return (
    <main class="page learn">
      <h1 class="only-heard">Learn</h1>
      <Chapters scenes={scenes} scene={scene} enter={enter} leave={() => change({ chapter: "" })} />
      {player.error && <p class="alarm" role="alert">{player.error}</p>}
      <div class="columns">
        {form}
        <section class="stage" aria-label="What it does">
          <Transport player={player} />
          <Picture player={player} unit={unit} showClasses={() => setUnit(null)} />
          <Key player={player} />
        </section>
        <section class="behind" aria-label="How good it is, and why">
          <Scores player={player} />
          <Tabs now={view.panel} choose={(panel) => change({ panel })} />
          <div id="panel" role="tabpanel" aria-label={PANELS[view.panel]}>
            <h2 class="only-heard">{PANELS[view.panel]}</h2>
            {view.panel === "net" && <NetPanel player={player} unit={unit} setUnit={setUnit} />}
            {view.panel === "curves" && <Curves player={player} />}
            {view.panel === "lanes" && <LanesPanel player={player} />}
            {view.panel === "surface" && <SurfacePanel player={player} />}
            {view.panel === "layers" && <LayersPanel player={player} />}
            {view.panel === "ledger" && <LedgerPanel player={player} />}
            {view.panel === "health" && <HealthPanel player={player} wanted={view.wanted} setWanted={(whole) => change({ chapter: "", side: "one", wanted: whole })} />}
            {view.panel === "code" && <CodePanel player={player} />}
          </div>
        </section>
      </div>
    </main>
  );
}

interface ChaptersProps {
  scenes: Scene[];
  scene: Scene | undefined;
  enter: (scene: Scene) => void;
  leave: () => void;
}

function Chapters({ scenes, scene, enter, leave }: ChaptersProps) {
  const at = scene ? scenes.indexOf(scene) : -1;
  const enterAt = (i: number) => (scenes[i] ? enter(scenes[i]) : leave());
  return (
    <header class="chapters">
      <div class="together">
        <label for="chapter">Lecture</label>
        <select id="chapter" value={at} onChange={(event) => enterAt(Number(event.currentTarget.value))}>
          <option value={-1}>Free play</option>
          {scenes.map((one, i) => <option key={one.chapter} value={i}>{one.chapter} · {one.title}</option>)}
        </select>
        <button type="button" class="small" disabled={at <= 0} onClick={() => enterAt(at - 1)}>Previous</button>
        <button type="button" class="small" disabled={at === scenes.length - 1} onClick={() => enterAt(at + 1)}>Next</button>
      </div>
      {scene && (
        <div class="panel scene">
          <div>
            <h2>{scene.title}</h2>
            <p>{scene.say}</p>
            <p><strong>Try:</strong> {scene.look}</p>
          </div>
          {scene.formulas.length > 0 && <div>{scene.formulas.map((one) => <Formula key={one} mathml={one} block />)}</div>}
        </div>
      )}
    </header>
  );
}

function Tabs({ now, choose }: { now: Panel; choose: (panel: Panel) => void }) {
  const names = Object.keys(PANELS) as Panel[];
  const pressed = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = names[(names.indexOf(now) + by + names.length) % names.length]!;
    choose(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Looks behind the picture" onKeyDown={pressed}>
      {names.map((name) => (
        <button key={name} type="button" role="tab" id={`tab-${name}`} aria-selected={name === now} aria-controls="panel" tabIndex={name === now ? 0 : -1} onClick={() => choose(name)}>{PANELS[name]}</button>
      ))}
    </div>
  );
}
