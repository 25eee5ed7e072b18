"""Stacks: runs of a sweep that the native engine trains together, where they are of one kind.

What stands around a small net's steps is dearer than they are: so runs that differ in seed and
learning rate alone share a plan, and one call takes an epoch of each. A run has the bits that it
has alone, whatever others are in its stack.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from steepest.classifier import Score, scores_of
from steepest.engine import Position, StackedTraining, StepStats, is_stackable
from steepest.errors import EngineError
from steepest.nn import LinearLayer, redraw
from steepest.recipe import Recipe
from steepest.run import EpochFinished, Record, Run, RunStopped
from steepest.sweeps.paused import MOST_BYTES, Paused, PausedStates
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.record import RunRow
from steepest.sweeps.training import row_of
from steepest.training.descent import run_started
from steepest.training.interrupt import StopRequest
from steepest.training.schedule import make_schedule
from steepest.training.scoring import Scoring
from steepest.training.stopped import Stopped, diverged_within

# One call: as many runs as give some hundredths of a second, whose epochs are no longer.
_FLOPS_A_CALL, _MOST_RUNS = 5e8, 32
# Plans that are kept ready, and rates of some learning rates in each.
_MOST_STACKS, _MOST_RATES = 64, 64
# First weights of some seeds are kept in each: runs of a grid share them.
_MOST_BYTES_DRAWN = 2**20


class StackedRun:
    """A run on its way, between two epochs; fulfils `Training`.

    Args:
        name: Of the run.
        recipe: Every setting.
        stacks: Train it.
    """

    has_weights = True

    def __init__(self, name: str, recipe: Recipe, stacks: "Stacks") -> None:
        self.name, self.recipe, self._stacks = name, recipe, stacks
        self.state: NDArray[np.float32] | None = None
        self.paused: Paused | None = None
        self.position = Position()
        self.history: list[EpochFinished] = []
        self.seconds = 0.0
        self.end: RunStopped | None = None

    def advance(self, epochs: int | None) -> RunRow | None:
        """Train until so many epochs are done, or to the end; what came of it, if it has ended."""
        return self._stacks.advance([self], epochs)[0]

    def prune(self, cause: str) -> RunRow | None:
        """End it between two epochs."""
        return self._stacks.end([self], Stopped("pruned", cause))[0]

    def to_run(self) -> Run:
        """The ended run, with what is measured only of those that are kept."""
        return self._stacks.to_run(self)


class Stacks:
    """Trains runs whose keys are equal, together.

    Args:
        shared: What the runs share.
        stop: True once somebody has asked to stop.
        folder: Where states of paused runs may be written; None for the system's own.
    """

    def __init__(self, shared: Preparations, stop: StopRequest, folder: Path | None = None) -> None:
        self._shared, self._stop = shared, stop
        self._paused = PausedStates(folder, MOST_BYTES)
        self._lock = threading.Lock()
        self._free: OrderedDict[Hashable, list[_Stack]] = OrderedDict()
        self._most: dict[Hashable, int] = {}

    def key(self, recipe: Recipe) -> Hashable | None:
        """What runs of one stack have in common; None for a run that is trained by itself."""
        if recipe.lr == "auto" or not self.most(recipe):
            return None
        return self._shared.key_without_lr(recipe), self._shared.rows_key(recipe)

    def most(self, recipe: Recipe) -> int:
        """How many runs are to be trained at once; 0 where a run is trained by itself."""
        kind = self._shared.kind(recipe)
        if kind not in self._most:
            self._most[kind] = self._count(recipe)
        return self._most[kind]

    def _count(self, recipe: Recipe) -> int:
        if not (is_stackable(recipe) and self._shared.is_native(recipe)):
            return 0
        prepared = self._shared.of(recipe)
        plan, parts = prepared.plan, prepared.parts
        rows = 3 * plan.batch_size * plan.steps_per_epoch
        rows += sum(len(part.targets) for name, part in parts.items() if name != "train")
        try:
            self._give_back(_Stack(self._shared, recipe, self._key_of_stack(recipe)))
        except EngineError:
            return 0
        return min(_MOST_RUNS, int(_FLOPS_A_CALL / max(1.0, rows * prepared.row_flops)))

    def advance(self, runs: Sequence[StackedRun], epochs: int | None) -> list[RunRow | None]:
        """Train runs until so many epochs are done, or to their end.

        Args:
            runs: Of one key, all at one position.
            epochs: None to the end.

        Returns:
            What came of each; None of one that pauses, also where somebody asked to stop.
        """
        stack = self._take(runs[0].recipe)
        self._wake(runs)
        try:
            rows = stack.advance(runs, epochs, self._stop)
        finally:
            self._give_back(stack)
        for run, row in zip(runs, rows, strict=True):
            if row is None and run.state is not None:
                run.paused = self._paused.put(run.state)
                run.state = None
        return rows

    def _wake(self, runs: Sequence[StackedRun]) -> None:
        for run in runs:
            if run.paused is not None:
                run.state, run.paused = self._paused.take(run.paused), None

    def end(self, runs: Sequence[StackedRun], stopped: Stopped) -> list[RunRow]:
        """End runs of one key that pause."""
        stack = self._take(runs[0].recipe)
        self._wake(runs)
        try:
            return stack.end(runs, stopped)
        finally:
            self._give_back(stack)

    def to_run(self, run: StackedRun) -> Run:
        """A run that has ended, as `train` gives it."""
        assert run.state is not None
        assert run.end is not None
        prepared = self._shared.of(run.recipe)
        plan, record = prepared.plan, Record.create(None)
        loss = Scoring(prepared).initial_loss(0)
        record(run_started(prepared, plan.total_steps, loss))
        stack = self._take(run.recipe)
        try:
            stack.training.put(run.state, plan.model, run.position.step)
        finally:
            self._give_back(stack)
        for event in run.history:
            record(event)
        scores = Scoring(prepared).final(run.position.step)
        record(replace(run.end, scores=scores))
        return Run(run.recipe, prepared.classifier, record, dataset=prepared.dataset)

    def _key_of_stack(self, recipe: Recipe) -> Hashable:
        """Equal of recipes that differ in numbers: they need the same memory."""
        return self._shared.kind(recipe), recipe.dropout, self._shared.rows_key(recipe)

    def _take(self, recipe: Recipe) -> "_Stack":
        """A stack that nobody else uses."""
        key = self._key_of_stack(recipe)
        with self._lock:
            free = self._free.get(key)
            stack = free.pop() if free else None
        if stack is None:
            return _Stack(self._shared, recipe, key)
        stack.change(recipe)
        return stack

    def _give_back(self, stack: "_Stack") -> None:
        with self._lock:
            self._free.setdefault(stack.key, []).append(stack)
            self._free.move_to_end(stack.key)
            while len(self._free) > _MOST_STACKS:
                self._free.popitem(last=False)


class _Stack:
    """What the runs of a key share while they are trained."""

    def __init__(self, shared: Preparations, recipe: Recipe, key: Hashable) -> None:
        self.key, self._shared = key, shared
        self._told = shared.key_without_lr(recipe)
        prepared = shared.of(recipe)
        self._plan = prepared.plan
        self.training = StackedTraining(self._plan)
        self._objective = prepared.classifier.objective
        self._parts = {
            name: (
                part.inputs,
                torch.from_numpy(part.targets),
                None if part.weights is None else torch.from_numpy(part.weights),
            )
            for name, part in prepared.parts.items()
            if name in ("validation", "test")
        }
        self._rates: dict[tuple[float, int], list[float]] = {}
        self._layers = [m for m in self._plan.model.modules() if isinstance(m, LinearLayer)]
        # A module of the user's begins with the same weights in each run.
        self._first = None if shared.draws else self.training.state_of(self._plan.model)
        self._drawn: dict[int, NDArray[np.float32]] = {}  # by seed
        for inputs, *_ in self._parts.values():
            self.training.prepare_outputs(inputs)

    def change(self, recipe: Recipe) -> None:
        """Train runs of this recipe from now on, which differs in numbers from the one before."""
        told = self._shared.key_without_lr(recipe)
        if told != self._told:
            self._told = told
            self._rates.clear()
            self._plan = replace(self._plan, recipe=recipe)
            self.training.change(self._plan)

    def advance(
        self, runs: Sequence[StackedRun], epochs: int | None, stop: StopRequest
    ) -> list[RunRow | None]:
        total, per_epoch = self._plan.total_steps, self._plan.steps_per_epoch
        until = total if epochs is None else min(total, epochs * per_epoch)
        rows: dict[str, RunRow] = {}
        left = sorted(runs, key=lambda run: run.recipe.seed)  # those that share the order of rows
        while left and left[0].position.step < until and not stop:
            for run in self._take_epoch(left, min(per_epoch, total - left[0].position.step)):
                begun = max(0, run.position.step - per_epoch)
                end = diverged_within(begun, run.position.step, run.history[-1].train_loss)
                rows[run.name] = self._ended(run, end, {})
            left = [run for run in left if run.name not in rows]
        if left and left[0].position.step == total:
            ended = self.end(left, Stopped("finished", f"all {total} steps were taken"))
            rows |= {row.run: row for row in ended}
        return [rows.get(run.name) for run in runs]

    def end(self, runs: Sequence[StackedRun], stopped: Stopped) -> list[RunRow]:
        begun = time.perf_counter()
        states = self._states(runs)
        found = {name: self._scores(name, states) for name in self._parts if name == "test"}
        rows = []
        for i, run in enumerate(runs):
            scores = {name: of[i] for name, of in found.items()}
            last = run.history[-1]
            if last.val_loss is not None and last.val_acc is not None:
                count = len(self._parts["validation"][1])
                scores["validation"] = Score(count, last.val_loss, last.val_acc)
            run.seconds += (time.perf_counter() - begun) / len(runs)
            rows.append(self._ended(run, stopped, scores))
        return rows

    def _ended(self, run: StackedRun, stopped: Stopped, scores: dict[str, Score]) -> RunRow:
        step = run.position.step
        run.end = RunStopped(stopped.status, stopped.reason, step, run.seconds, scores)
        return row_of(run.name, run.history, run.end, run.seconds)

    def _take_epoch(self, runs: Sequence[StackedRun], steps: int) -> list[StackedRun]:
        """An epoch of each; those that diverged in it."""
        begun, at = time.perf_counter(), runs[0].position
        states = self._states(runs)
        rates = np.array([self._rates_of(run.recipe, at.step, steps) for run in runs], np.float64)
        seeds = [run.recipe.seed for run in runs]
        stats, position = self.training.advance(seeds, states, rates, at)
        scores = self._scores("validation", states) if "validation" in self._parts else None
        seconds = (time.perf_counter() - begun) / len(runs)
        for i, run in enumerate(runs):
            run.state, run.position = states[i], position
            run.seconds += seconds
            score = None if scores is None else scores[i]
            run.history.append(self._epoch(run, stats[i], score, float(rates[i, -1])))
        stops = self._plan.recipe.stop_on_nan
        return [r for r, s in zip(runs, stats, strict=True) if stops and not isfinite(s.loss_sum)]

    def _epoch(
        self, run: StackedRun, stats: StepStats, score: Score | None, rate: float
    ) -> EpochFinished:
        return EpochFinished(
            epoch=len(run.history),
            step=run.position.step,
            train_loss=stats.loss,
            train_acc=stats.accuracy,
            val_loss=None if score is None else score.loss,
            val_acc=None if score is None else score.accuracy,
            lr=rate,
            seconds=run.seconds,
        )

    def _states(self, runs: Sequence[StackedRun]) -> NDArray[np.float32]:
        states = np.empty((len(runs), self.training.state_size), dtype=np.float32)
        for i, run in enumerate(runs):
            states[i] = self._first_state(run.recipe) if run.state is None else run.state
        return states

    def _first_state(self, recipe: Recipe) -> NDArray[np.float32]:
        if self._first is not None:
            return self._first
        if not self._shared.redraws(recipe):
            return self.training.state_of(self._shared.new_model(recipe))
        if recipe.seed not in self._drawn:
            if (len(self._drawn) + 1) * 4 * self.training.state_size > _MOST_BYTES_DRAWN:
                self._drawn.clear()
            redraw(self._layers, recipe.seed)
            self._drawn[recipe.seed] = self.training.state_of(self._plan.model)
        return self._drawn[recipe.seed]

    def _rates_of(self, recipe: Recipe, step: int, steps: int) -> list[float]:
        lr, plan = recipe.base_lr, self._plan
        if (lr, step) not in self._rates:
            if len(self._rates) > _MOST_RATES:
                self._rates.clear()
            schedule = make_schedule(recipe, lr, plan.steps_per_epoch, plan.total_steps)
            self._rates[lr, step] = schedule.rates(range(step, step + steps))
        return self._rates[lr, step]

    def _scores(self, name: str, states: NDArray[np.float32]) -> list[Score]:
        inputs, targets, weights = self._parts[name]
        outputs = self.training.outputs(states, inputs)
        return scores_of(self._objective, outputs, targets, weights)
