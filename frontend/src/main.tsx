// The page: what is above every view, and which view an address means.

import "./style.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, takeToken } from "./api";
import { isFile } from "./embedded";
import logo from "./favicon.svg";
import { defaults } from "./compare/groups";
import { dated, type Value } from "./format";
import { ComparePage } from "./compare/ComparePage";
import { LearnPage } from "./learn/LearnPage";
import { RunPage } from "./run/RunPage";
import { RunsPage } from "./table/RunsPage";
import { type State as Runs, watchRuns } from "./table/store";
import { SweptRunPage } from "./run/SweptRunPage";
import { route } from "./route";
import { TrainPage } from "./train/TrainPage";
import { apply, setTheme, theme, type Theme } from "./theme";

interface Board {
  folder: string;
  version: string;
  defaults: Record<string, Value>;
  copied?: { at: number; left_out: string[] }; // of a page that is a file
}

const NOTHING: Runs = { entries: [], sweeps: new Map(), unread: 0, ready: false, problem: null };

// The views, by the first word of the address; those with a title stand in the navigation.
const VIEWS: { name: string; title?: string }[] = [
  { name: "runs", title: "Runs" }, { name: "compare", title: "Compare" }, { name: "train", title: "Train" }, { name: "learn", title: "Learn" },
  { name: "run" }, { name: "sweep" },
];

// Those that need a server behind the page.
const TRAINS = new Set(["train", "learn"]);

function App() {
  const [place, setPlace] = useState(route());
  const [board, setBoard] = useState<Board | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const moved = () => setPlace(route());
    addEventListener("hashchange", moved);
    get<Board>("/api/board").then((found) => {
      Object.assign(defaults, found.defaults);
      setBoard(found);
    }, (error: Error) => setProblem(error.message));
    return () => removeEventListener("hashchange", moved);
  }, []);
  const [view = "", first = "", second = ""] = place.path;
  const shown = VIEWS.find((one) => one.name === view)?.name ?? "runs";
  useEffect(() => {
    document.title = `${board?.folder ?? ""} · steepest`;
  }, [board]);
  return (
    <>
      <a class="skip" href="#content" onClick={(event) => {
        event.preventDefault();
        document.getElementById("content")!.focus();
      }}>To the content</a>
      <header class="top">
        <a class="brand" href="#/runs"><img src={logo} alt="" width="20" height="20" /><span>steepest</span></a>
        {board && <span class="folder" title="the folder that is watched">{board.folder}</span>}
        <nav aria-label="Views">
          {VIEWS.filter((one) => one.title && !(isFile && TRAINS.has(one.name))).map((one) => (
            <a key={one.name} href={`#/${one.name}`} aria-current={shown === one.name ? "page" : undefined}>{one.title}</a>
          ))}
        </nav>
        <ThemeSwitch />
      </header>
      {board?.copied && (
        <aside class="copied-at" aria-label="What this file is">
          A copy of {dated(board.copied.at)}{board.copied.left_out.length > 0 && `; left out: ${board.copied.left_out.join("; ")}`}
        </aside>
      )}
      <div id="content" tabIndex={-1}>
        {problem ? <main class="page"><p class="alarm" role="alert">{problem}</p></main>
          : shown === "run" ? <RunPage key={first} id={first} />
          : shown === "sweep" ? <SweptRunPage key={first + second} sweep={first} run={second} />
          : isFile && TRAINS.has(shown) ? <NotInAFile />
          : shown === "train" ? <TrainPage key={place.query.get("from")} query={place.query} />
          : shown === "learn" ? <LearnPage query={place.query} />
          : <AllRuns query={place.query} compare={shown === "compare"} />}
      </div>
    </>
  );
}

function AllRuns({ query, compare }: { query: URLSearchParams; compare: boolean }) {
  const [runs, setRuns] = useState<Runs>(NOTHING);
  useEffect(() => watchRuns(setRuns), []);
  return compare ? <ComparePage runs={runs} query={query} /> : <RunsPage runs={runs} query={query} />;
}

function NotInAFile() {
  return <main class="page"><p class="empty">What stands here trains, which a file cannot: <code>steepest board</code> opens a page that can.</p></main>;
}

function ThemeSwitch() {
  const [now, setNow] = useState(theme());
  return (
    <label class="theme">
      <span class="only-heard">Colours</span>
      <select value={now} onChange={(event) => {
        const wanted = event.currentTarget.value as Theme;
        setTheme(wanted);
        setNow(wanted);
      }}>
        <option value="system">as the system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}

takeToken();
apply();
render(<App />, document.getElementById("app")!);
