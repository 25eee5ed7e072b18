"""Runs that another process trains: what it is sent, what it does, and what it sends back.

All that goes there and back is data: arrays and frames, recipes, numbers, weights as safetensors.
A run that is to pause at a rung is trained up to it, measured as if it ended there, and forgotten:
whoever is to go on with it begins it anew, and gets the same bits. So no process has anything that
would be missed if it died.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import polars as pl
from safetensors.torch import load, save

from steepest.data import Dataset
from steepest.extension import extension, forced_isa
from steepest.recipe import Recipe
from steepest.run import EpochFinished, Record, Run
from steepest.sweeps.executor import Done, Task, ThreadExecutor
from steepest.sweeps.metrics import Metric
from steepest.sweeps.preparations import Model, Preparations
from steepest.sweeps.record import RunRow
from steepest.sweeps.stacks import Stacks
from steepest.sweeps.training import RunTraining, Training, WholeTraining, failed_row
from steepest.training.interrupt import StopRequest
from steepest.training.weights import load_tensors, snapshot


@dataclass(frozen=True, eq=False)
class Shared:
    """What all runs of a sweep have in common.

    Attributes:
        model: What each run begins with, as `Preparations` takes it.
        read: All rows by how they are read.
        metric: By which the best are kept.
        keep_best: So many runs keep their weights.
    """

    model: Model
    read: dict[Any, Dataset]
    metric: Metric
    keep_best: int

    @property
    def nbytes(self) -> int:
        """What the rows take, each array counted once."""
        parts = [part for dataset in self.read.values() for _, part in dataset.parts()]
        arrays = {id(part.inputs): part.inputs for part in parts}.values()
        return sum(
            int(rows.estimated_size()) if isinstance(rows, pl.DataFrame) else rows.nbytes
            for rows in arrays
        )


@dataclass(frozen=True)
class Order:
    """A run that is to be trained.

    Attributes:
        name: Of the run.
        recipe: Of the run, with its seed.
        epochs: Until so many are done; None to its end.
        limit: Of what its metric costs: a worse run sends no weights back.
    """

    name: str
    recipe: Recipe
    epochs: int | None
    limit: float


@dataclass(frozen=True, eq=False)
class Weights:
    """A run that is kept: its tensors as safetensors, and the rows of its record."""

    tensors: bytes
    record: dict[str, list[Any]]


@dataclass(frozen=True, eq=False)
class Report:
    """What came of an order.

    Attributes:
        row: What came of the run; where it pauses, as if it had ended there.
        history: Its epochs.
        has_ended: Whether it has.
        weights: None but of the best.
    """

    row: RunRow
    history: list[EpochFinished]
    has_ended: bool
    weights: Weights | None = None


class RemoteWorker:
    """Trains runs one after the other, in a process that is none of the sweep's own.

    Args:
        shared: What they have in common.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._preparations = Preparations(shared.model, None, shared.read)
        stop = StopRequest()
        stacks = Stacks(self._preparations, stop)
        self._executor = ThreadExecutor(1, stacks, self._begin, self._is_by_itself)

    def carry_out(self, orders: Sequence[Order]) -> list[Report]:
        """Train these runs; only the best of them send their weights."""
        for place, order in enumerate(orders):
            self._executor.submit(Task(place, order.name, order.recipe, order.epochs))
        reports = dict[int, Report]()
        best = list[tuple[float, int, Training]]()
        for _ in orders:
            done = self._executor.get()
            assert done is not None
            if done.error is not None and not isinstance(done.error, Exception):
                raise done.error
            place, training = done.task.label, done.task.training
            reports[place] = report = _report(done)
            if training is None or not self._may_be_kept(report, orders[place]):
                continue
            best.append((self._shared.metric.of_row(report.row), place, training))
            best = sorted(best, key=lambda one: one[:2])[: self._shared.keep_best]
        for _, place, training in best:
            run = training.to_run()
            copies = {name: t.detach().cpu().clone() for name, t in snapshot(run.model).items()}
            weights = Weights(save(copies), run.record.rows())
            reports[place] = replace(reports[place], weights=weights)
        return [reports[place] for place in range(len(orders))]

    def _may_be_kept(self, report: Report, order: Order) -> bool:
        cost = self._shared.metric.of_row(report.row) if report.has_ended else math.inf
        return cost < math.inf and cost <= order.limit and self._preparations.is_plain(order.recipe)

    def _is_by_itself(self, recipe: Recipe) -> bool:
        """Whether it is not for the native engine; what fails is for the run itself to tell."""
        if not self._preparations.is_plain(recipe):
            return True
        if not self._preparations.knows(recipe):
            with suppress(Exception):
                self._preparations.of(recipe)
        return not self._preparations.is_native(recipe)

    def _begin(self, name: str, recipe: Recipe) -> Training:
        if self._preparations.is_plain(recipe):
            return RunTraining(name, recipe, self._preparations, StopRequest())
        # The files of parts may be missing here; their rows are among those that were sent.
        parts = {part: getattr(recipe, part) for part in ("validation", "test")}
        sent = {part: 0.0 for part, value in parts.items() if isinstance(value, str)}
        whole = self._preparations.whole(recipe)
        return WholeTraining(name, recipe.replace(**sent), self._shared.model, whole)


def _report(done: Done) -> Report:
    training, row = done.task.training, done.row
    history = [] if training is None else list(training.history)
    if done.error is not None:
        return Report(failed_row(done.task.name, done.error, history), history, True)
    assert training is not None
    ended = row is not None
    row = row or training.prune("")
    assert row is not None
    return Report(row, list(training.history), ended)


class RemoteTraining:
    """A run that another process trains or has trained, as the scheduler knows it.

    Args:
        report: What it sent.
        recipe: Of the run.
        preparations: Of this process, for runs whose weights came.
    """

    def __init__(self, report: Report, recipe: Recipe, preparations: Preparations) -> None:
        self.history: list[EpochFinished] = report.history
        self._report, self._recipe, self._preparations = report, recipe, preparations

    @property
    def has_weights(self) -> bool:
        """Whether its weights came along."""
        return self._report.weights is not None

    def advance(self, epochs: int | None) -> NoReturn:
        """Never: it is trained elsewhere."""
        raise AssertionError(epochs)

    def prune(self, cause: str) -> RunRow:
        """What came of it, since it goes no further."""
        return replace(self._report.row, cause=cause)

    def to_run(self) -> Run:
        """The ended run."""
        weights = self._report.weights
        assert weights is not None
        prepared = self._preparations.of(self._recipe)
        load_tensors(prepared.classifier.model, load(weights.tensors))
        record = Record.of_rows(weights.record)
        return Run(self._recipe, prepared.classifier, record, dataset=prepared.dataset)


def kernels() -> str:
    """What the native engine of this process computes with: other kernels give other last bits."""
    native = extension()
    return "torch alone" if native is None else f"{native.isa(forced_isa())} kernels"


_latest: tuple[str, RemoteWorker] | None = None


def carry_out(sweep: str, shared: Callable[[], Shared], orders: Sequence[Order]) -> list[Report]:
    """What a process does that may be asked again: it keeps what the runs of a sweep share.

    Args:
        sweep: Which sweep they belong to.
        shared: Gives what they share, if this process has not got it yet.
        orders: The runs.
    """
    global _latest
    if _latest is None or _latest[0] != sweep:
        _latest = None  # first its memory
        _latest = sweep, RemoteWorker(shared())
    return _latest[1].carry_out(orders)
