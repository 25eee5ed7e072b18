"""What happens in a run, as facts that observers receive. Observers read; they change nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steepest.classifier import Score
from steepest.engine import LayerStats, StepStats
from steepest.recipe import Recipe


@dataclass(frozen=True)
class RunStarted:
    """Before the first step, or the first one after a run was continued.

    Attributes:
        recipe: Every setting.
        engine: The engine's name, "native" or "torch".
        reason: Why that engine.
        rows: Training rows.
        steps_per_epoch: Minibatches in an epoch.
        total_steps: Steps of the whole run.
        initial_loss: Mean loss of the untrained model on some training rows, in nats; of batch norm
            by the statistics of these rows.
        chance_loss: log C, what a model that knows nothing should have.
        summary: What was decided, in plain sentences.
        step: Steps that are done already.
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

    Attributes:
        epoch: Counted from 0.
        batch: Minibatches of this epoch that are done.
        step: Steps of the run that are done.
        lr: Learning rate of the last of them.
        stats: Sums over the interval's steps.
        net_layers: Of a run of several nets the number of each, with its layers at its last step.
    """

    epoch: int
    batch: int
    step: int
    lr: float
    stats: StepStats
    net_layers: tuple[tuple[int, tuple[LayerStats, ...]], ...] = ()


@dataclass(frozen=True)
class EpochFinished:
    """An epoch, or the part of it that was run.

    Attributes:
        epoch: Counted from 0.
        step: Steps of the run that are done.
        train_loss: Mean over the epoch's rows, each at the weights of its own step, in nats.
        train_acc: Share of them that were predicted rightly, in the same way.
        val_loss: Measured after the epoch; None without a validation part.
        val_acc: Measured after the epoch; None without a validation part.
        lr: Learning rate of the last step.
        seconds: Since training began.
        metrics: Of the validation part, by name, what best_by asks for beside: balanced_accuracy or
            calibrated_loss.
    """

    epoch: int
    step: int
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    lr: float
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> tuple[float | None, ...]:
        """All but the metrics, in the order of the columns of a record."""
        return tuple(vars(self).values())[:-1]


@dataclass(frozen=True)
class RunStopped:
    """After the last step.

    Attributes:
        status: "finished", "interrupted" (Ctrl-C) or "diverged".
        reason: Why, in a plain sentence.
        step: Steps of the run that are done.
        seconds: Since training began.
        scores: By part (train, validation, test), all measured at the last weights in evaluation
            mode; train on evenly spread rows where all of them would be dear beside the run.
    """

    status: str
    reason: str
    step: int
    seconds: float
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class FindingMade:
    """Something is wrong, or worth a note: see `steepest.health`.

    Attributes:
        step: Steps that were done when it was seen.
        code: The rule's code, such as "LR_TOO_HIGH".
        severity: "info", "warn" or "error".
        details: The finding as plain data.
    """

    step: int
    code: str
    severity: str
    details: Mapping[str, Any]


Event = RunStarted | IntervalFinished | EpochFinished | FindingMade | RunStopped
Observer = Callable[[Event], None]
