"""Tally: what has come of a sweep so far, kept up as runs end; what a display reads."""

import math
import re
import threading
import time
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from steepest.run import EpochFinished
from steepest.sweeps.findings import findings_of_epochs
from steepest.sweeps.metrics import Metric
from steepest.sweeps.record import RunRow

_MOST_RANKED = 10
_MOST_UNJUDGED, _JUDGED_AT_ONCE = 500, 50
# Causes that differ in numbers alone are one: the loss became nan at step 12, at step 31.
_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


@dataclass(frozen=True, order=True)
class Standing:
    """A trial among the others.

    Attributes:
        cost: The mean of the metric, the lower the better.
        trial: Its number.
        settings: What it has of the settings that vary.
        mean: Of the metric over the runs that are there.
        runs: How many.
        seeds: How many there will be.
    """

    cost: float
    trial: int
    settings: dict[str, Any]
    mean: float
    runs: int
    seeds: int


@dataclass(frozen=True)
class Failure:
    """Runs that ended for the same cause. status, cause and settings are those of the first."""

    status: str
    cause: str
    settings: dict[str, Any]
    runs: int


@dataclass(frozen=True)
class Standings:
    """What has come of a sweep at some moment.

    Attributes:
        done: Runs that have ended.
        total: Runs that are planned.
        by_status: How many ended as finished, diverged, pruned, failed.
        failures: Those that diverged or failed, the most frequent cause first.
        best: The best trials first: those of which every seed is there; before the first such one,
            those that have begun.
        seconds: Since the first run of this process began.
        rate: Runs a second in this process; NaN before the first has ended.
        findings: How many of the runs that were judged have a finding of each code.
        judged: How many were: some, where runs come faster than they can be looked at.
    """

    done: int
    total: int
    by_status: dict[str, int]
    failures: tuple[Failure, ...]
    best: tuple[Standing, ...]
    seconds: float
    rate: float
    findings: dict[str, int]
    judged: int

    @property
    def seconds_left(self) -> float:
        """At this rate; NaN if nobody can tell. Too long where a pruner will end runs early."""
        return (self.total - self.done) / self.rate if self.rate > 0 else math.nan


class Tally:
    """Takes in what a record is told, from one thread, and is read from any.

    A run costs it some microseconds; nothing is sorted anew.

    Args:
        metric: What trials are compared by.
        expected: How many runs there will be at least, where trials are made on the way.

    Attributes:
        on_run: Called after each run.
        judges: Whether epochs are kept for `judge`: who shows a sweep sets it.
        about: What they are judged with; see `findings_of_epochs`.
    """

    def __init__(self, metric: Metric, expected: int = 0) -> None:
        self.metric = metric
        self.judges = False
        self.about: Mapping[str, Any] = {}
        self._expected = expected
        self._unjudged = deque[Sequence[EpochFinished]](maxlen=_MOST_UNJUDGED)
        self._codes = Counter[str]()
        self._judged = 0
        self.on_run: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._settings: dict[int, dict[str, Any]] = {}
        self._trials_of: dict[str, list[int]] = {}
        self._seeds = Counter[int]()
        self._values: dict[int, list[float]] = {}
        self._ranked: list[Standing] = []
        self._by_status = Counter[str]()
        self._failures: dict[str, Failure] = {}
        self._total, self._done, self._earlier = 0, 0, 0
        self._begun = time.monotonic()

    def add_trials(self, first: int, settings: Sequence[dict[str, Any]]) -> None:
        """Points of trials, which are numbered from `first` on."""
        with self._lock:
            self._settings.update(enumerate(settings, first))

    def add_plan(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Which run each seed of each trial is: (trial, seed, run)."""
        with self._lock:
            for trial, _, run in rows:
                self._trials_of.setdefault(run, []).append(trial)
                self._seeds[trial] += 1
                self._total += 1

    def begin(self, known: Iterable[RunRow]) -> None:
        """Time runs from now on. known: runs that had ended before."""
        for row in known:
            self.add_run(row)
        self._earlier, self._begun = self._done, time.monotonic()

    def judge(self) -> None:
        """Look at the epochs of some runs that have ended; called by who draws, and by none else.

        At most so many each time that it takes a hundredth of a second or so.
        """
        for _ in range(min(len(self._unjudged), _JUDGED_AT_ONCE)):
            found = list(findings_of_epochs(self._unjudged.popleft(), self.about))
            self._codes.update(finding.code for finding in found)
            self._judged += 1

    def add_run(self, row: RunRow, history: Sequence[EpochFinished] = ()) -> None:
        """What came of a run, and its epochs."""
        if self.judges and row.status == "finished":
            self._unjudged.append(history)
        cost = self.metric.of_row(row)
        with self._lock:
            for trial in self._trials_of.get(row.run, ()):
                self._done += 1
                self._by_status[row.status] += 1
                self._rank(trial, cost)
                if row.status in ("diverged", "failed"):
                    self._note(trial, row)
        self.on_run()

    def standings(self) -> Standings:
        """What has come so far."""
        with self._lock:
            seconds = time.monotonic() - self._begun
            ended = self._done - self._earlier
            failures = sorted(self._failures.values(), key=lambda failure: -failure.runs)
            return Standings(
                self._done, max(self._total, self._expected), dict(self._by_status),
                tuple(failures),
                tuple(self._ranked) or self._begun_trials(),
                seconds, ended / seconds if ended and seconds > 0 else math.nan,
                dict(self._codes.most_common()), self._judged,
            )  # fmt: skip

    def _rank(self, trial: int, cost: float) -> None:
        values = self._values.setdefault(trial, [])
        values.append(cost)
        if len(values) == self._seeds[trial] and math.isfinite(mean := math.fsum(values)):
            insort(self._ranked, self._standing(trial, mean / len(values)))
            del self._ranked[_MOST_RANKED:], self._values[trial]

    def _begun_trials(self) -> tuple[Standing, ...]:
        begun = [
            self._standing(trial, math.fsum(sound) / len(sound))
            for trial, values in self._values.items()
            if (sound := [value for value in values if math.isfinite(value)])
        ]
        return tuple(sorted(begun)[:_MOST_RANKED])

    def _standing(self, trial: int, cost: float) -> Standing:
        mean = cost if self.metric.falls else -cost
        runs = sum(map(math.isfinite, self._values[trial]))
        return Standing(cost, trial, self._settings[trial], mean, runs, self._seeds[trial])

    def _note(self, trial: int, row: RunRow) -> None:
        note_failure(self._failures, row.status, row.cause or "", self._settings[trial])


def note_failure(
    noted: dict[str, Failure], status: str, cause: str, settings: dict[str, Any]
) -> None:
    """Count a run that broke under its cause; causes that differ in numbers alone are one."""
    key = f"{status} {_NUMBER.sub('#', cause)}"
    first = noted.get(key, Failure(status, cause, settings, 0))
    noted[key] = replace(first, runs=first.runs + 1)


def failures_of(results: pl.DataFrame, trials: Sequence[dict[str, Any]]) -> list[Failure]:
    """The runs of a sweep that diverged or failed, by cause, the most frequent first.

    Args:
        results: Of the sweep.
        trials: The settings of each.
    """
    noted: dict[str, Failure] = {}
    broken = results.filter(pl.col("status").is_in(["diverged", "failed"]))
    for trial, status, cause in broken.select("trial", "status", "cause").iter_rows():
        note_failure(noted, status, cause or "", trials[trial])
    return sorted(noted.values(), key=lambda failure: -failure.runs)
