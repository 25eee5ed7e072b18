// The settings of a run: those that are not the defaults first, the others folded away.

import { number } from "../format";
import { Copy } from "./Findings";
import type { Setting } from "./model";

export function Recipe({ recipe }: { recipe: Setting[] }) {
  const changed = recipe.filter((one) => one.changed);
  const others = recipe.filter((one) => !one.changed);
  return (
    <section class="panel recipe" aria-labelledby="recipe-title">
      <header>
        <h3 id="recipe-title">Recipe</h3>
        <Copy text={changed.map((one) => `${one.name} = ${toml(one.value)}`).join("\n")} what="the settings as TOML" />
      </header>
      <Table settings={changed} />
      <details>
        <summary>{others.length} settings have their defaults</summary>
        <Table settings={others} />
      </details>
    </section>
  );
}

function Table({ settings }: { settings: Setting[] }) {
  return (
    <table class="settings">
      <tbody>
        {settings.map((one) => (
          <tr key={one.name}>
            <th scope="row" title={one.help}><code>{one.name}</code></th>
            <td>{shown(one.value)}</td>
            <td class="muted">{one.changed && one.default !== null ? `default ${shown(one.default)}` : ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function shown(value: Setting["value"]): string {
  return typeof value === "number" ? (Number.isInteger(value) ? String(value) : number(value, 3).replace(/0+$/, "")) : String(value ?? "–");
}

function toml(value: Setting["value"]): string {
  if (typeof value === "number") return String(value);
  if (value === "on" || value === "off") return value === "on" ? "true" : "false";
  if (typeof value === "string" && /^\d+(,\d+)*$/.test(value)) return `[${value.replaceAll(",", ", ")}]`;
  return JSON.stringify(value);
}
