// Fields of forms, each with its label.

import { useEffect, useId, useState } from "preact/hooks";
import type { LineStyle } from "./choices";

type Option = string | number;

interface ChoiceProps {
  label: string;
  value: Option;
  options: readonly Option[] | Record<string, string>; // a list, or what is shown by what is meant
  change: (value: string) => void;
  disabled?: boolean;
}

export function Choice({ label, value, options, change, disabled = false }: ChoiceProps) {
  const id = useId();
  const pairs = Array.isArray(options) ? options.map((one) => [one, one]) : Object.entries(options);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={String(value)} disabled={disabled} onChange={(event) => change(event.currentTarget.value)}>
        {pairs.map(([meant, shown]) => <option key={meant} value={String(meant)}>{String(shown)}</option>)}
      </select>
    </div>
  );
}

interface NumberProps {
  label: string;
  value: number;
  low: number;
  high: number;
  step: number;
  change: (value: number) => void;
  slider?: boolean;
  percent?: boolean;
  disabled?: boolean;
}

// A number, taken when the field is left or Enter is pressed; as a slider it shows what it says.
export function NumberField(props: NumberProps) {
  const { label, value, low, high, step, change, slider = false, percent = false, disabled = false } = props;
  const id = useId();
  const [now, setNow] = useState(String(value));
  useEffect(() => setNow(String(value)), [value]);
  const take = (text: string) => {
    const number = Number(text);
    const kept = text === "" || !Number.isFinite(number) ? value : Math.min(high, Math.max(low, number));
    const whole = step === 1 ? Math.round(kept) : kept;
    setNow(String(whole));
    if (whole !== value) change(whole);
  };
  const shown = percent ? `${Math.round(100 * Number(now))} %` : now;
  return (
    <div class={slider ? "field slider" : "field"}>
      <label for={id}>{label}</label>
      <input
        id={id} type={slider ? "range" : "number"} min={low} max={high} step={slider ? step : "any"} value={now}
        disabled={disabled} aria-valuetext={slider ? shown : undefined}
        onInput={(event) => setNow(event.currentTarget.value)} onChange={(event) => take(event.currentTarget.value)}
      />
      {slider && <output for={id}>{shown}</output>}
    </div>
  );
}

interface SwitchProps {
  label: string;
  value: boolean;
  change: (value: boolean) => void;
  disabled?: boolean;
}

export function Switch({ label, value, change, disabled = false }: SwitchProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} type="checkbox" checked={value} disabled={disabled} onChange={(event) => change(event.currentTarget.checked)} />
    </div>
  );
}

// How a curve is drawn, beside its name.
export function Swatch({ style: { colour, dash } }: { style: LineStyle }) {
  return <svg class="swatch" viewBox="0 0 26 8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" stroke={colour} stroke-width="3" stroke-dasharray={dash.join(" ")} /></svg>;
}
