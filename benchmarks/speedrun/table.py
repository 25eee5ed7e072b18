"""What was found, as a table in Markdown: goal by goal, seconds and whether the mean passes."""

import statistics
from collections.abc import Iterator, Sequence

from speedrun.goals import GOALS
from tabular.results import Line

HEAD = (
    "| goal | contestant | seconds, median (least to most) | of the processor "
    "| compilation | accuracy, mean (least) | |",
    "|---|---|---|---|---|---|---|",
)


def table(goals: Sequence[str], contestants: Sequence[str], lines: list[Line], seeds: int) -> str:
    """A row for each goal and contestant; `lines` are those of the seeds asked for."""
    rows = []
    for goal in goals:
        for contestant in contestants:
            of_both = [x for x in lines if (x["goal"], x["contestant"]) == (goal, contestant)]
            rows.append(f"| {goal} | {contestant} | {_figures(goal, of_both, seeds)} |")
    return "\n".join((*HEAD, *rows))


def _figures(goal: str, lines: list[Line], seeds: int) -> str:
    done = [line for line in lines if line["status"] == "done"]
    if not done:
        said = {line["error"] for line in lines}
        return f"not measured{': ' if said else ''}{'; '.join(sorted(said))} | | | | "
    seconds, used, compiled, accuracy = (
        [line[name] for line in done]
        for name in ("seconds", "processor_seconds", "compile_seconds", "accuracy")
    )
    mean = statistics.fmean(accuracy)
    verdict = "passes" if mean >= GOALS[goal].accuracy else "does not pass"
    if len(done) < seeds:
        verdict += f", of {len(done)} of {seeds} seeds"
    return (
        f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) "
        f"| {statistics.median(used):.2f} | {statistics.median(compiled):.1f} "
        f"| {mean:.2%} ({min(accuracy):.2%}) | {verdict}"
    )


def loads(lines: list[Line]) -> Iterator[str]:
    """How busy the machine was, by its load when the trainings began."""
    found = [line["load"] for line in lines if "load" in line]
    if found:
        yield f"load when a training began: {min(found):.1f} to {max(found):.1f}"
