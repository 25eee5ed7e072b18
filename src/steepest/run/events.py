"""What happens in a run, as facts that observers receive. Observers read; they change nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from steepest.classifier import Score
from steepest.engine import StepStats
from steepest.recipe import Recipe


@dataclass(frozen=True)
class RunStarted:
    """Before the first step, or the first one after a run was continued.

    initial_loss: mean loss of the untrained model on some training rows. chance_loss: log C, what
    a model that knows nothing should have. summary: what was decided, in plain sentences. step:
    steps that are done already.
    """

    recipe: Recipe
    engine: str
    reason: str
    rows: int
    steps_per_epoch: int
    total_steps: int
    initial_loss: float
    chance_loss: float
    summary: tuple[str, ...]
    step: int = 0


@dataclass(frozen=True)
class IntervalFinished:
    """Some steps, `log_every` of them or what was left of the epoch.

    epoch: from 0. i: minibatches of this epoch that are done. step: steps of the run that are done.
    """

    epoch: int
    i: int
    step: int
    lr: float
    stats: StepStats


@dataclass(frozen=True)
class EpochFinished:
    """An epoch, or the part of it that was run.

    train_loss and train_acc are means over the epoch's minibatches, each at the weights of its own
    step; val_loss and val_acc are measured after the epoch. seconds: since training began.
    """

    epoch: int
    step: int
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    lr: float
    seconds: float


@dataclass(frozen=True)
class RunStopped:
    """After the last step.

    status: finished, interrupted (Ctrl-C) or diverged. scores: by part (train, validation, test),
    all measured at the last weights in evaluation mode; train on evenly spread rows where all of
    them would be dear beside the run.
    """

    status: str
    reason: str
    step: int
    seconds: float
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class FindingMade:
    """Something is wrong, or worth a note: see steepest.health. details: the finding as plain data.

    step: steps that were done when it was seen. severity: info, warn or error.
    """

    step: int
    code: str
    severity: str
    details: Mapping[str, Any]


Event = RunStarted | IntervalFinished | EpochFinished | FindingMade | RunStopped
Observer = Callable[[Event], None]
