// The frame of every drawing: its title, and a menu that saves it or shows its numbers.

import type { ComponentChildren, RefObject } from "preact";
import { useRef, useState } from "preact/hooks";
import { type Cells, saveCsv, savePng, saveSvg } from "./save";

interface Props {
  title: string;
  about: string;
  children: ComponentChildren;
  svg?: RefObject<SVGSVGElement | null>;
  table?: () => [string[], Cells[]];
  csv?: (() => void) | undefined;
  log?: [boolean, (on: boolean) => void] | undefined;
  zoomed?: (() => void) | undefined;
  wide?: boolean;
  extra?: ComponentChildren;
}

export function Panel(props: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  const [asTable, setAsTable] = useState(false);
  const id = `panel-${props.title.toLowerCase().replace(/\W+/g, "-")}`;
  const pick = (action: () => void) => () => {
    menu.current!.open = false;
    menu.current!.querySelector("summary")!.focus();
    action();
  };
  return (
    <section class={`panel${props.wide ? " wide" : ""}`} aria-labelledby={id}>
      <header>
        <h3 id={id} title={props.about}>{props.title}</h3>
        {props.extra}
        {props.zoomed && <button type="button" class="small" onClick={props.zoomed}>whole range</button>}
        {props.log && (
          <button type="button" class="small" aria-pressed={props.log[0]} onClick={() => props.log![1](!props.log![0])}>log</button>
        )}
        {props.table && (
          <details class="menu" ref={menu} onKeyDown={(event) => {
            if (event.key === "Escape") pick(() => undefined)();
          }} onFocusOut={(event) => {
            if (!menu.current!.contains(event.relatedTarget as Node | null)) menu.current!.open = false;
          }}>
            <summary aria-label={`${props.title}: save or show as a table`}><span aria-hidden="true">⋯</span></summary>
            <div class="choices">
              <button type="button" onClick={pick(() => setAsTable(!asTable))}>{asTable ? "Show the drawing alone" : "Show as a table"}</button>
              {props.svg && <button type="button" onClick={pick(() => props.svg!.current && void savePng(props.svg!.current, props.title))}>Save as PNG</button>}
              {props.svg && <button type="button" onClick={pick(() => props.svg!.current && saveSvg(props.svg!.current, props.title))}>Save as SVG</button>}
              <button type="button" onClick={pick(props.csv ?? (() => saveCsv(...props.table!(), props.title)))}>Save numbers as CSV</button>
            </div>
          </details>
        )}
      </header>
      {props.children}
      {asTable && props.table && <Numbers table={props.table()} title={props.title} />}
    </section>
  );
}

const MOST = 400;

function Numbers({ table: [head, rows], title }: { table: [string[], Cells[]]; title: string }) {
  return (
    <div class="numbers" tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table>
        <thead><tr>{head.map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
        <tbody>
          {rows.slice(-MOST).map((row, i) => (
            <tr key={i}>{row.map((cell, j) => <td key={j}>{cell === null ? "–" : typeof cell === "number" ? +cell.toPrecision(6) : cell}</td>)}</tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST && <p class="muted">the last {MOST} of {rows.length} rows; CSV has all</p>}
    </div>
  );
}
