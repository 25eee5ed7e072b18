"""What a command's exit code says, and the same in its JSON."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import click

FINE, FOUND, MISTAKE, INTERRUPTED = 0, 1, 2, 130
# Exit code -> what it says: in `steepest --help` and docs/reference/command-line.md.
EXIT_CODES = {
    FINE: "fine; there may be notes and warnings",
    FOUND: "an error was found (with --strict: or a warning), the run diverged, the loss is NaN",
    MISTAKE: "a mistake of the user: one message, no traceback",
    INTERRUPTED: "Ctrl-C or SIGTERM; what was trained is saved first",
}

strict = click.option("--strict", is_flag=True, help="Warnings count as errors: end with 1.")


def reasons_of(findings: Iterable[Any], *, strict: bool) -> list[str]:
    """The findings for which a command ends with 1, as `error CODE`; consequences count too."""
    severe = ("error", "warn") if strict else ("error",)
    return [f"{f.severity} {f.code}" for f in _all(findings) if f.severity in severe]


def reasons_of_run(run: Any, *, strict: bool) -> list[str]:
    """The same for a run, and whether it diverged or ended with a loss that is no number."""
    diverged = ["the run diverged"] if run.status == "diverged" else []
    losses = {name: score.loss for name, score in run.scores.items()}
    broken = [f"the {name} loss is {x}" for name, x in losses.items() if not math.isfinite(x)]
    return diverged + broken + reasons_of(run.findings, strict=strict)


def verdict_of(reasons: list[str], *, interrupted: bool = False) -> dict[str, Any]:
    """The exit code and what it is for, as the key "verdict" of a command's JSON."""
    code = INTERRUPTED if interrupted else FOUND if reasons else FINE
    return {"exit_code": code, "reasons": reasons}


def end_with(verdict: dict[str, Any]) -> None:
    """End the command as its verdict says."""
    if verdict["exit_code"] == INTERRUPTED:
        raise KeyboardInterrupt
    if verdict["exit_code"]:
        raise click.exceptions.Exit(verdict["exit_code"])


def _all(findings: Iterable[Any]) -> Iterator[Any]:
    for finding in findings:
        yield finding
        yield from _all(finding.consequences)
