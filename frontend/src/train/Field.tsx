// One setting: a list where it has few values, else a line of text as on the command line.

import { useEffect, useId, useState } from "preact/hooks";
import type { Setting } from "./types";

interface Props {
  setting: Setting;
  text: string; // "": not given
  before?: string | undefined; // what the original says, where this is a copy
  mistakes: string[];
  change: (text: string) => void;
}

export function Field({ setting, text, before, mistakes, change }: Props) {
  const id = useId();
  const [now, setNow] = useState(text);
  useEffect(() => setNow(text), [text]);
  const base = before ?? "";
  const differs = text !== base;
  const common = {
    id,
    "data-setting": setting.name,
    "aria-invalid": mistakes.length > 0,
    "aria-describedby": `${id}-help${mistakes.length ? ` ${id}-wrong` : ""}`,
  };
  return (
    <div class={`setting${text ? " given" : ""}${mistakes.length ? " wrong" : ""}`}>
      <div class="setting-head">
        <label for={id}><code>{setting.name}</code></label>
        {differs && (
          <button type="button" class="undo" onClick={() => change(base)}>
            undo<span class="only-heard"> {setting.name}</span>
          </button>
        )}
      </div>
      {setting.values.length ? (
        <select {...common} value={text} onChange={(event) => change(event.currentTarget.value)}>
          <option value="">{setting.default} (default)</option>
          {setting.values.map((one) => <option key={one} value={one}>{one}</option>)}
          {text && !setting.values.includes(text) && <option value={text}>{text}</option>}
        </select>
      ) : (
        <input {...common} type="text" value={now} placeholder={setting.default} spellcheck={false} autocomplete="off"
          list={setting.suggested.length ? `${id}-list` : undefined}
          onInput={(event) => setNow(event.currentTarget.value)} onChange={(event) => change(event.currentTarget.value.trim())} />
      )}
      {setting.suggested.length > 0 && <datalist id={`${id}-list`}>{setting.suggested.map((one) => <option key={one} value={one} />)}</datalist>}
      {mistakes.length > 0 && <p class="wrong-text" id={`${id}-wrong`}>{mistakes.join("; ")}</p>}
      <p class="help" id={`${id}-help`}>
        {before !== undefined && differs && <span class="was">was {base || `${setting.default} (default)`} · </span>}
        {setting.help}
      </p>
    </div>
  );
}
