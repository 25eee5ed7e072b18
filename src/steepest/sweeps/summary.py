"""The runs of a sweep by setting: means over the seeds with intervals, and who is told apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from steepest.errors import RunError
from steepest.sweeps.metrics import Metric
from steepest.sweeps.statistics import difference, mean_intervals


def ranking(results: pl.DataFrame, settings: Sequence[str], metric: Metric) -> pl.DataFrame:
    """One row a trial, the best first: trial, settings, mean, std, n, best, failed, complete.

    Trials of which a run is missing, was pruned or broke come after all others, by their mean.
    """
    value = pl.col(metric.name)
    sound = is_sound(metric)
    best = value.filter(sound).min() if metric.falls else value.filter(sound).max()
    grouped = results.group_by("trial", *settings, maintain_order=True).agg(
        value.filter(sound).mean().alias("mean"),
        value.filter(sound).std().alias("std"),
        sound.sum().cast(pl.Int64).alias("n"),
        best.alias("best"),
        pl.col("status").is_in(["diverged", "failed"]).sum().cast(pl.Int64).alias("failed"),
        sound.all().alias("complete"),
    )
    return grouped.sort(
        "complete", "mean", descending=[True, not metric.falls], nulls_last=True,
        maintain_order=True,
    )  # fmt: skip


def epochs_done(settings: Sequence[str]) -> str:
    """What the column of epochs that are done is called: the setting has its own, if it varies."""
    return "epochs_done" if "epochs" in settings else "epochs"


def is_sound(metric: Metric) -> pl.Expr:
    """Whether a run reached its end, with a number."""
    value = pl.col(metric.name)
    return ((pl.col("status") == "finished") & value.is_not_nan()).fill_null(False)


def summarise(
    results: pl.DataFrame, settings: Sequence[str], metric: Metric, level: float
) -> pl.DataFrame:
    """`ranking` with intervals, and whether each trial is told apart from the first."""
    ranked = ranking(results, settings, metric)
    by_trial = values_by_seed(results, metric)
    trials = ranked["trial"].to_list()
    ends = _intervals([by_trial.get(trial, {}) for trial in trials], level)
    apart: list[bool | None] = [None] * len(trials)
    for i, trial in enumerate(trials[1:], 1):
        if trials[0] in by_trial and trial in by_trial:
            found = difference(
                by_trial[trials[0]], by_trial[trial], falls=metric.falls, level=level,
                comparisons=len(by_trial) - 1,
            )  # fmt: skip
            apart[i] = found.exceeds_noise
    low, high = (pl.Series(name, ends[:, i]) for i, name in enumerate(("low", "high")))
    return ranked.select(
        "trial", *settings, "mean", low.fill_nan(None), high.fill_nan(None),
        "std", "n", "best", "failed", pl.Series("apart", apart, dtype=pl.Boolean),
    )  # fmt: skip


def values_by_seed(results: pl.DataFrame, metric: Metric) -> dict[int, dict[int, float]]:
    """The metric of each trial by seed, where a run reached its end."""
    found: dict[int, dict[int, float]] = {}
    for trial, seed, value in (
        results.filter(is_sound(metric)).select("trial", "seed", metric.name).iter_rows()
    ):
        found.setdefault(trial, {})[seed] = value
    return found


def require_values(results: pl.DataFrame, metric: Metric) -> None:
    """Raise RunError if no run has this metric, saying why."""
    if results.filter(is_sound(metric)).height:
        return
    if not (results["status"] == "finished").any():
        raise RunError(
            f"no run of this sweep has reached its end ({_counts(results)}); see sweep.failures"
        )
    raise RunError(
        f"no run of this sweep has {metric.name}: its recipe keeps no such part of the rows apart "
        "(validation, test)"
    )


def _counts(results: pl.DataFrame) -> str:
    counts = results["status"].fill_null("missing").value_counts(sort=True).rows()
    return ", ".join(f"{count} {status}" for status, count in counts) or "it has none"


def _intervals(values: Sequence[dict[int, Any]], level: float) -> np.ndarray:
    """The ends of the interval of each mean, (trials, 2); those of as many seeds at once."""
    ends = np.full((len(values), 2), np.nan)
    counts = np.array([len(one) for one in values], dtype=np.int64)
    for n in np.unique(counts[counts > 1]):
        places = np.flatnonzero(counts == n)
        table = np.array([list(values[int(i)].values()) for i in places])
        ends[places] = np.stack(mean_intervals(table, level), axis=1)
    return ends
