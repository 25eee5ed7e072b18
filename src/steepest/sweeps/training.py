"""RunTraining: one run of a sweep on its way, which can pause between epochs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from steepest.ensemble import train
from steepest.recipe import Recipe
from steepest.run import EpochFinished, Event, Record, Run, RunStarted, RunStopped
from steepest.sweeps.preparations import Preparations
from steepest.sweeps.record import RunRow
from steepest.training.descent import Descent
from steepest.training.interrupt import StopRequest
from steepest.training.schedule import make_schedule
from steepest.training.scoring import Scoring
from steepest.training.stopped import Stopped

_LONGEST_CAUSE = 300
_BYTES_BESIDE_WEIGHTS = 64 * 2**10


class Training(Protocol):
    """A run on its way."""

    @property
    def history(self) -> Sequence[EpochFinished]:
        """The epochs that are done."""
        ...

    def advance(self, epochs: int | None) -> RunRow | None:
        """Train until so many epochs are done, or to the end; what came of it, if it has ended.

        None also where somebody asked to stop: `stopped` tells.
        """
        ...

    def prune(self, cause: str) -> RunRow | None:
        """End it between two epochs."""
        ...

    @property
    def has_weights(self) -> bool:
        """Whether the run that has ended can be given; else it would have to be trained again."""
        ...

    def to_run(self) -> Run:
        """The ended run, as `train` gives it."""
        ...


class RunTraining:
    """One net, by the same loop as any training.

    Args:
        name: Of the run.
        recipe: Every setting.
        shared: What it shares with the others.
        stop: True once somebody has asked to stop.
    """

    has_weights = True

    def __init__(self, name: str, recipe: Recipe, shared: Preparations, stop: StopRequest) -> None:
        self._name, self._recipe, self._shared = name, recipe, shared
        self._events: list[Event] = []
        self._seconds = 0.0
        begun = time.perf_counter()
        self._prepared = shared.of(recipe)
        plan = self._prepared.plan
        schedule = make_schedule(recipe, self._prepared.lr, plan.steps_per_epoch, plan.total_steps)
        self._descent = Descent(
            self._prepared, schedule, self._events.append, stop, None, one_of_many=True
        )
        with torch.inference_mode(False), torch.enable_grad():
            self._descent.begin()
        self._seconds += time.perf_counter() - begun

    @property
    def history(self) -> list[EpochFinished]:
        """The epochs that are done."""
        return [event for event in self._events if isinstance(event, EpochFinished)]

    @property
    def nbytes(self) -> int:
        """About what it takes in memory: weights, twice, and what optimizer and averages keep."""
        tensors = self._prepared.plan.model.state_dict().values()
        return int(5 * sum(tensor.nbytes for tensor in tensors)) + _BYTES_BESIDE_WEIGHTS

    def advance(self, epochs: int | None) -> RunRow | None:
        """Train until so many epochs are done, or to the end; what came of it, if it has ended."""
        begun = time.perf_counter()
        with torch.inference_mode(False), torch.enable_grad():
            ended = self._descent.go_on(epochs)
            if ended:
                self._descent.finish()
        self._seconds += time.perf_counter() - begun
        return self._row() if ended else None

    def prune(self, cause: str) -> RunRow | None:
        """End it between two epochs."""
        with torch.inference_mode(False), torch.enable_grad():
            self._descent.finish(Stopped("pruned", cause))
        return self._row()

    def _row(self) -> RunRow | None:
        end = self._events[-1]
        assert isinstance(end, RunStopped)
        return (
            None
            if end.status == "interrupted"
            else row_of(self._name, self.history, end, self._seconds)
        )

    def to_run(self) -> Run:
        """The ended run, with what is measured only of those that are kept."""
        end = self._events[-1]
        assert isinstance(end, RunStopped)
        begin = Scoring(self._shared.of(self._recipe)).initial_loss(0)
        scores = Scoring(self._prepared).final(end.step)
        record = Record.create(None)
        for event in self._events:
            if isinstance(event, RunStarted):
                event = replace(event, initial_loss=begin)
            elif isinstance(event, RunStopped):
                event = replace(event, scores=scores)
            record(event)
        return Run(self._recipe, self._prepared.classifier, record, dataset=self._prepared.dataset)


class ForgottenTraining:
    """A run that paused and of which its history alone was kept: it begins anew, to the same bits.

    Args:
        history: Its epochs.
        begin: Begins it.
    """

    has_weights = True

    def __init__(self, history: list[EpochFinished], begin: Callable[[], Training]) -> None:
        self.history, self._begin = history, begin
        self._training: Training | None = None

    def advance(self, epochs: int | None) -> RunRow | None:
        """Train it from the beginning until so many epochs are done, or to the end."""
        self._training = self._begin()
        row = self._training.advance(epochs)
        self.history = list(self._training.history)
        if row is None:
            self._training = None
        return row

    def prune(self, cause: str) -> RunRow | None:
        """End it where it paused."""
        self._training = self._begin()
        return self._training.advance(len(self.history)) or self._training.prune(cause)

    def to_run(self) -> Run:
        """The ended run."""
        assert self._training is not None
        return self._training.to_run()


class WholeTraining:
    """What is trained as `train` does it: several nets, or what a preset decides.

    It cannot pause: it ends with its first call.
    """

    has_weights = True

    def __init__(self, name: str, recipe: Recipe, model: Any, data: Any) -> None:
        self._name, self._recipe, self._model, self._data = name, recipe, model, data
        self._events: list[Event] = []
        self._run: Run | None = None

    @property
    def history(self) -> list[EpochFinished]:
        """The epochs that are done."""
        return [event for event in self._events if isinstance(event, EpochFinished)]

    def advance(self, epochs: int | None) -> RunRow | None:
        """Train to the end."""
        begun = time.perf_counter()
        self._run = train(
            self._model, self._data, self._recipe.replace(check=False, watch=False),
            progress="none", observers=[self._events.append],
        )  # fmt: skip
        if self._run.status == "interrupted":  # it had the signal, and not the sweep
            raise KeyboardInterrupt
        end = self._events[-1]
        assert isinstance(end, RunStopped)
        return row_of(self._name, self.history, end, time.perf_counter() - begun)

    def prune(self, cause: str) -> RunRow | None:
        """Never: it has no pause."""
        raise AssertionError(cause)

    def to_run(self) -> Run:
        """The ended run."""
        assert self._run is not None
        return self._run


def row_of(name: str, history: Sequence[EpochFinished], end: RunStopped, seconds: float) -> RunRow:
    """What came of a run, from what it told."""
    held_out = [(e.val_loss, e.epoch) for e in history if e.val_loss is not None]
    best = min((pair for pair in held_out if pair[0] == pair[0]), default=(None, None))
    last = history[-1] if history else None
    scores = {} if end.status == "diverged" else end.scores
    validation, test = scores.get("validation"), scores.get("test")
    return RunRow(
        name,
        end.status,
        None if end.status == "finished" else end.reason,
        len(history),
        end.step,
        train_loss=last.train_loss if last else None,
        train_acc=last.train_acc if last else None,
        val_loss=validation.loss if validation else None,
        val_acc=validation.accuracy if validation else None,
        test_loss=test.loss if test else None,
        test_acc=test.accuracy if test else None,
        best_epoch=best[1],
        best_val_loss=best[0],
        seconds=seconds,
    )


def failed_row(name: str, error: BaseException, history: Sequence[EpochFinished]) -> RunRow:
    """What came of a run that raised: the first line of why."""
    line = (str(error).splitlines() or [""])[0]
    cause = f"{type(error).__name__}: {line}"[:_LONGEST_CAUSE]
    step = history[-1].step if history else 0
    return RunRow(name, "failed", cause, len(history), step)
