// The menu of a drawing: saves it as PNG, SVG or CSV, or shows its numbers.

import { useRef } from "preact/hooks";
import { type Picture, savePng, saveSvg } from "./save";

interface Props {
  title: string;
  drawing?: (() => Picture | null) | undefined; // none of what is no drawing
  csv: () => void;
  asTable?: [boolean, (on: boolean) => void];
}

export function Menu({ title, drawing, csv, asTable }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  const pick = (action: () => void) => () => {
    menu.current!.open = false;
    menu.current!.querySelector("summary")!.focus();
    action();
  };
  const saved = (save: (picture: Picture, name: string) => void) => pick(() => {
    const picture = drawing!();
    if (picture) save(picture, title);
  });
  return (
    <details class="menu" ref={menu} onKeyDown={(event) => {
      if (event.key === "Escape") pick(() => undefined)();
    }} onFocusOut={({ currentTarget, relatedTarget }) => {
      // Also as the page takes a menu away that has the focus: the ref has let go of it by then.
      if (!currentTarget.contains(relatedTarget as Node | null)) currentTarget.open = false;
    }}>
      <summary aria-label={`${title}: save${asTable ? " or show as a table" : ""}`}><span aria-hidden="true">⋯</span></summary>
      <div class="choices">
        {asTable && <button type="button" onClick={pick(() => asTable[1](!asTable[0]))}>{asTable[0] ? "Show the drawing alone" : "Show as a table"}</button>}
        {drawing && <button type="button" onClick={saved((picture, name) => void savePng(picture, name))}>Save as PNG</button>}
        {drawing && <button type="button" onClick={saved(saveSvg)}>Save as SVG</button>}
        <button type="button" onClick={pick(csv)}>Save numbers as CSV</button>
      </div>
    </details>
  );
}
