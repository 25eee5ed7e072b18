// How a run stands, as a sign and a word: colour alone says nothing.

const SIGNS: Record<string, [string, string]> = {
  running: ["●", "running"],
  finished: ["✓", "finished"],
  interrupted: ["‖", "interrupted"],
  diverged: ["✕", "diverged"],
  failed: ["✕", "failed"],
  pruned: ["✂", "pruned"],
  stopped: ["■", "stopped"],
  damaged: ["⚠", "damaged"],
};

export function State({ state, title }: { state: string; title?: string | null }) {
  const [sign, word] = SIGNS[state] ?? ["○", state];
  return (
    <span class={`state ${state}`} title={title ?? undefined}>
      <span aria-hidden="true">{sign}</span> {word}
    </span>
  );
}
