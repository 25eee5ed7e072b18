"""Comparisons over tables: mean ranks, critical difference, wins and losses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tabular.results import Key, Line

# Measure -> whether larger is better.
MEASURES = {
    "log_loss": False,
    "accuracy": True,
    "balanced_accuracy": True,
    "auc": True,
    "ece": False,
}


@dataclass(frozen=True)
class Comparison:
    """Methods on the tables where each of them was tried.

    Attributes:
        methods: Their names.
        tables: The tables' names.
        values: By measure, (tables, methods), means over the splits. NaN: no split has figures.
    """

    methods: list[str]
    tables: list[str]
    values: dict[str, NDArray[np.float64]]

    def ranks(self, measure: str) -> NDArray[np.float64]:
        """(tables, methods), 1 is best, ties share their mean; a method without figures is last."""
        values = self.values[measure]
        losses = -values if MEASURES[measure] else values
        ranks: NDArray[np.float64] = stats.rankdata(
            np.nan_to_num(losses, nan=np.inf, posinf=np.inf), axis=1
        )
        return ranks

    def mean_ranks(self) -> NDArray[np.float64]:
        """Of each method, over log loss and accuracy alike."""
        both: NDArray[np.float64] = (self.ranks("log_loss") + self.ranks("accuracy")) / 2
        return both.mean(0)


def comparisons(lines: dict[Key, Line]) -> list[Comparison]:
    """All methods that were tried on all tables, then others with these on the tables they share.

    A method that was tried on fewer tables, because it is slow, is compared on those.
    """
    tried: dict[str, set[str]] = {}
    for table, _, method in lines:
        tried.setdefault(method, set()).add(table)
    covers = sorted({frozenset(tables) for tables in tried.values()}, key=len, reverse=True)
    made: dict[tuple[tuple[str, ...], tuple[str, ...]], Comparison] = {}
    for cover in covers:
        methods = sorted(method for method, tables in tried.items() if cover <= tables)
        if len(methods) > 1:
            made.setdefault(
                (tuple(methods), tuple(sorted(cover))), _compare(methods, sorted(cover), lines)
            )
    return [*made.values()]


def _compare(methods: list[str], tables: list[str], lines: dict[Key, Line]) -> Comparison:
    splits: dict[tuple[str, str], list[Line]] = {}
    for (table, _, method), line in lines.items():
        splits.setdefault((table, method), []).append(line)
    shared = {
        table: set.intersection(
            *({line["split"] for line in splits[table, method]} for method in methods)
        )
        for table in tables
    }

    def mean(table: str, method: str, measure: str) -> float:
        found = [
            x.get(measure, np.nan) for x in splits[table, method] if x["split"] in shared[table]
        ]
        return float(np.mean(found)) if found else np.nan

    measures = (*MEASURES, "fit_seconds", "predict_seconds", "memory_mib")
    return Comparison(
        methods,
        tables,
        {
            measure: np.array([[mean(t, m, measure) for m in methods] for t in tables])
            for measure in measures
        },
    )


def critical_difference(methods: int, tables: int, alpha: float = 0.05) -> float:
    """Mean ranks further apart than this differ, by Nemenyi's test.

    Source:
        Demšar 2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7.
    """
    q = stats.studentized_range.ppf(1 - alpha, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * tables)))


def cliques(mean_ranks: list[float], difference: float) -> list[tuple[int, int]]:
    """Runs (first, last) of sorted mean ranks that are not told apart, none within another."""
    found: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i, r in enumerate(mean_ranks) if r <= mean_ranks[first] + difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
