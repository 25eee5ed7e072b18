// The frame of a drawing: its title, its menu, and its numbers as a table.

import type { ComponentChildren, RefObject } from "preact";
import { useState } from "preact/hooks";
import { Menu } from "./Menu";
import { type Cells, pictureOf, saveCsv } from "./save";

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
  const [asTable, setAsTable] = useState(false);
  const id = `panel-${props.title.toLowerCase().replace(/\W+/g, "-")}`;
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
          <Menu title={props.title} asTable={[asTable, setAsTable]} csv={props.csv ?? (() => saveCsv(...props.table!(), props.title))}
            drawing={props.svg && (() => props.svg!.current && pictureOf(props.svg!.current))} />
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
