"""What the epochs of a sweep's runs show: rules of health that need no more than a history.

A run of a sweep is not looked at while it trains, which would cost more than many a run. Whether it
learned its rows by heart (OVERFIT), or ended while it still learned (STOPPED_TOO_EARLY), is told
afterwards from the losses that were recorded, by the rules that any training is judged by.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from steepest.health import Finding
from steepest.health.watch.evaluations import MeasuredEvaluation
from steepest.health.watch.rules.evaluation import overfitting
from steepest.run import EpochFinished
from steepest.training.preparation import Preparation
from steepest.training.unfinished import Progress

_MOST_RUNS = 1000
_COLUMNS = {
    "code": pl.String, "severity": pl.String, "runs": pl.Int64, "of": pl.Int64,
    "message": pl.String, "fix": pl.String, "run": pl.String,
}  # fmt: skip


def about(prepared: Preparation) -> dict[str, Any]:
    """What the runs of a sweep are judged with, for its record."""
    classifier = prepared.classifier
    held_out = prepared.parts.get("validation")
    return {
        "validation_rows": 0 if held_out is None else len(held_out[1]),
        "chance_loss": classifier.objective.chance_loss(len(classifier.classes)),
    }


def findings_of_epochs(
    history: Sequence[EpochFinished], about: Mapping[str, Any]
) -> Iterator[Finding]:
    """What the epochs of one run show, that reached its end.

    Args:
        history: Its epochs.
        about: Of the sweep, as its record has it: `validation_rows` and `chance_loss`, where they
            are known.
    """
    rows, chance = int(about.get("validation_rows") or 0), about.get("chance_loss")
    evaluations = []
    made: Finding | None = None
    for epoch in history:
        if epoch.val_loss is None:
            continue
        error = epoch.val_loss / math.sqrt(rows) if rows >= 2 else 0.0
        evaluations.append(
            MeasuredEvaluation(
                epoch.step, rows, epoch.val_loss, error, epoch.val_acc or 0.0, epoch.train_loss
            )
        )
        made = made or next(overfitting(evaluations, epoch.step), None)
    if made is not None:
        yield made
    if chance is not None:
        progress = Progress(rows, rows)
        for epoch in history:
            progress.epoch(epoch)
        unfinished = progress.unfinished(float(chance), lambda: "")
        if unfinished is not None:
            yield unfinished


def findings_table(
    results: pl.DataFrame, history: Callable[[str | None], pl.DataFrame], about: Mapping[str, Any]
) -> pl.DataFrame:
    """A row for each code, the most frequent first; see `Sweep.findings`.

    Args:
        results: Of a sweep.
        history: Gives the epochs of a run by its name, or of all.
        about: As for `findings_of_epochs`.
    """
    found: dict[str, dict[str, Any]] = {}
    finished = results.filter(pl.col("status") == "finished")["run"].unique(maintain_order=True)
    some = finished.gather_every(max(1, -(-len(finished) // _MOST_RUNS)))
    if len(some) < len(finished):
        tables: Iterable[pl.DataFrame] = map(history, some)
    else:
        whole = history(None).filter(pl.col("run").is_in(some.to_list())).sort("run", "epoch")
        tables = (table for _, table in whole.group_by("run", maintain_order=True))
    for table in tables:
        name = table["run"][0] if table.height else ""
        epochs = [EpochFinished(**row) for row in table.drop("run").to_dicts()]
        for finding in findings_of_epochs(epochs, about):
            first = {
                "code": finding.code, "severity": finding.severity, "runs": 0, "of": len(some),
                "message": finding.message, "fix": finding.fix, "run": name,
            }  # fmt: skip
            found.setdefault(finding.code, first)["runs"] += 1
    rows = sorted(found.values(), key=lambda row: -row["runs"])
    return pl.DataFrame(rows, schema=_COLUMNS)
