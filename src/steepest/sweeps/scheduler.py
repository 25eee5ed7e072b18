"""Scheduler: trials go to an executor, run by run; what comes back is recorded; pruners decide.

A trial is a point of the space, trained once for each seed. Who steers (a plain sweep, a pruner)
says how far trials are to be trained and gets them back when all their runs are there. A run that
the record knows is back at once, with the history that it had, so a sweep that is resumed takes
the way that it had taken and trains only what is missing.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steepest.recipe import Recipe
from steepest.run import EpochFinished
from steepest.sweeps.executor import Done, Executor, Task
from steepest.sweeps.metrics import Metric
from steepest.sweeps.record import RunRow, SweepRecord
from steepest.sweeps.training import Training, failed_row
from steepest.training.interrupt import StopRequest

_PATIENCE = 0.05


@dataclass(eq=False, slots=True)
class TrialRun:
    """A run of a trial.

    Attributes:
        name: Of the run.
        seed: Of the run.
        row: What came of it; None as long as it has not ended.
        history: Its epochs, as far as they are known.
        training: The run on its way, None before its first step and after its last.
    """

    name: str
    seed: int
    row: RunRow | None = None
    history: Sequence[EpochFinished] = ()
    training: Training | None = None


@dataclass(eq=False, slots=True)
class Trial:
    """A point of the space with its runs.

    Attributes:
        number: Its place in the sweep.
        base: What all runs of the sweep have in common.
        differences: Of the recipe of its runs from that.
        runs: One for each seed.
    """

    number: int
    base: Recipe
    differences: dict[str, Any]
    runs: list[TrialRun]

    @property
    def recipe(self) -> Recipe:
        """Of its runs, but for the seed."""
        return self.base.with_differences(self.differences)

    @property
    def has_ended(self) -> bool:
        """Whether all its runs have."""
        return all(run.row is not None for run in self.runs)

    def value(self, metric: Metric, epochs: int) -> float:
        """The mean of its runs after so many epochs, the lower the better; infinity for broken."""
        return math.fsum(metric.after(run.history, epochs) for run in self.runs) / len(self.runs)


class Scheduler:
    """Trains trials, many runs at once.

    Args:
        record: Where what comes of them is written.
        executor: Trains the runs; closed with the scheduler.
        keep: Called with each run that has just ended.
        stop: True once somebody has asked to stop.
        known: Names of the runs that the record has.
    """

    def __init__(
        self,
        record: SweepRecord,
        executor: Executor,
        keep: Callable[[Trial, TrialRun], None],
        stop: StopRequest,
        known: Iterable[str],
    ) -> None:
        self._record, self._executor, self._keep = record, executor, keep
        self._stop = stop
        self._known = set(known)
        self._waiting: deque[tuple[Trial, TrialRun, int | None]] = deque()
        self._under_way = 0
        self._left: dict[int, int] = {}  # runs of a trial that are not back yet
        self._back: deque[Trial] = deque()

    @property
    def stopped(self) -> bool:
        """Whether somebody has asked to stop: then trials no longer come back."""
        return bool(self._stop)

    @property
    def is_hungry(self) -> bool:
        """Whether another trial should be started, so that no worker is without work."""
        return len(self._waiting) + self._under_way < self._executor.capacity

    def start(self, trial: Trial, epochs: int | None) -> None:
        """Train the runs of a trial that have not ended up to so many epochs, or to their end."""
        due = [run for run in trial.runs if run.row is None and not self._is_known(run)]
        self._left[trial.number] = len(due)
        self._waiting.extend((trial, run, epochs) for run in due)
        if not due:
            self._back.append(trial)

    def is_done(self, trial: Trial) -> bool:
        """Whether all its runs have ended, in this process or in an earlier one."""
        return all(run.name in self._known for run in trial.runs)

    def next_back(self) -> Trial | None:
        """The next trial whose runs are all there; None if none is under way, or it was stopped."""
        while not self._back:
            self._feed()
            if not self._under_way:
                return None
            done = self._executor.get(_PATIENCE)
            if done is None:
                self._record.commit_if_due()
            else:
                self._take(done)
        return self._back.popleft()

    def train_all(self, trials: Iterable[Trial]) -> Iterator[Trial]:
        """Train trials to their end, in about their order; each as its runs are all there."""
        coming = iter(trials)
        while True:
            while self.is_hungry and not self.stopped and (trial := next(coming, None)) is not None:
                self.start(trial, None)
            back = self.next_back()
            if back is None:
                return
            yield back

    def prune(self, trial: Trial, cause: str) -> None:
        """End the runs of a trial that paused; their place is free at once."""
        for run in trial.runs:
            if run.training is not None:
                self._ended(trial, run, run.training.prune(cause))

    def close(self) -> None:
        """Let go of the workers, and put all that came back on disk."""
        self._waiting.clear()
        self._executor.close()
        while self._under_way and (done := self._executor.get(0)) is not None:
            self._take(done)
        self._record.commit()

    def _is_known(self, run: TrialRun) -> bool:
        """Whether the record has this run; its history is read then."""
        if run.name not in self._known:
            return False
        run.row, run.history = self._record.run(run.name)
        return True

    def _feed(self) -> None:
        """Give tasks to the executor, no more than it can soon begin."""
        while self._waiting and self._under_way < self._executor.capacity and not self._stop:
            trial, run, epochs = self._waiting.popleft()
            self._under_way += 1
            recipe = trial.recipe.with_seed(run.seed)
            self._executor.submit(Task((trial, run), run.name, recipe, epochs, run.training))

    def _take(self, done: Done) -> None:
        """Write down what came of a task."""
        trial, run = done.task.label
        self._under_way -= 1
        row, run.training = done.row, done.task.training
        if done.error is not None:
            if not isinstance(done.error, Exception):
                raise done.error
            history = () if run.training is None else tuple(run.training.history)
            row, run.training = failed_row(run.name, done.error, history), None
            run.history = history
        elif run.training is not None:
            run.history = tuple(run.training.history)
        if row is not None:
            self._ended(trial, run, row)
        elif self._stop:
            return
        self._left[trial.number] -= 1
        if not self._left[trial.number]:
            self._back.append(trial)

    def _ended(self, trial: Trial, run: TrialRun, row: RunRow | None) -> None:
        if row is None:
            return
        run.row = row
        if run.training is not None:
            run.history = tuple(run.training.history)
            self._keep(trial, run)
        run.training = None
        self._known.add(run.name)
        self._record.put_run(row, run.history)
