// What health found: the cause, what shows it, what else it could have been, and what to do.

import { useState } from "preact/hooks";
import type { Finding } from "./model";

const NAMES: Record<string, [string, string]> = {
  error: ["✕", "error"],
  warn: ["!", "warning"],
  info: ["i", "note"],
};

export function Findings({ findings }: { findings: Finding[] }) {
  if (!findings.length) return null;
  return (
    <section class="findings" aria-labelledby="findings-title">
      <h2 id="findings-title">{findings.length === 1 ? "One finding" : `${findings.length} findings`}</h2>
      <div class="cards">{findings.map((finding) => <Card key={finding.code + finding.step} finding={finding} />)}</div>
    </section>
  );
}

export function Card({ finding }: { finding: Finding }) {
  const [sign, word] = NAMES[finding.severity] ?? ["?", finding.severity];
  const placed = finding.evidence.some((one) => one.where);
  return (
    <article class={`card ${finding.severity}`}>
      <header>
        <span class="sign" aria-hidden="true">{sign}</span>
        <h3>{finding.message}</h3>
      </header>
      <p class="muted">{word} · <code>{finding.code}</code> · {finding.confidence} · at step {finding.step}</p>
      {finding.evidence.length > 0 && (
        <table>
          <thead><tr><th scope="col">measured</th><th scope="col">expected</th>{placed && <th scope="col">where</th>}</tr></thead>
          <tbody>
            {finding.evidence.map((one, i) => (
              <tr key={i}><td>{one.measured}</td><td>{one.expected}</td>{placed && <td>{one.where || "–"}</td>}</tr>
            ))}
          </tbody>
        </table>
      )}
      {finding.ruled_out.length > 0 && (
        <>
          <h4>Ruled out</h4>
          <ul>{finding.ruled_out.map((one, i) => <li key={i}>{one}</li>)}</ul>
        </>
      )}
      {finding.consequences.length > 0 && (
        <>
          <h4>It also explains</h4>
          <ul>{finding.consequences.map((one, i) => <li key={i}>{one.message} <code>{one.code}</code></li>)}</ul>
        </>
      )}
      {finding.fix && (
        <div class="fix">
          <h4>Fix</h4>
          <code>{finding.fix}</code>
          <Copy text={finding.fix} what="the fix" />
        </div>
      )}
    </article>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return (
    <button type="button" class="small" onClick={() => void copy()}>
      <span aria-live="polite">{done ? "Copied" : "Copy"}</span><span class="only-heard"> {what}</span>
    </button>
  );
}
