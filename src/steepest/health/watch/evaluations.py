"""What a watch has seen of evaluations: rows that pass without gradients, and what is reported."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from steepest.health.check.data import class_indices


@dataclass(frozen=True)
class MeasuredEvaluation:
    """An evaluation of which only these figures are known."""

    step: int
    rows: int
    loss: float
    loss_error: float
    accuracy: float
    train_loss: float


@dataclass
class EvaluationTrace:
    """One pass over rows without gradients. confusion: (C, C) counts, true class by row.

    train_loss: the mean over the training steps since the evaluation before. reported: loss and
    accuracy, as the loop itself says them.
    """

    step: int
    rows: int = 0
    loss_sum: float = 0.0
    square_sum: float = 0.0
    confusion: Tensor | None = None
    train_loss: float = math.nan
    reported: tuple[float, float] | None = None

    def add(self, z: Tensor, y: Tensor, loss: Tensor | None) -> None:
        """Take in some rows. z: (N, C) logits, or (N,) or (N, 1). y: (N,) class indices.

        loss: their mean, as the loop's own loss has it; None for cross entropy.
        """
        C = z.shape[1] if z.ndim == 2 and z.shape[1] > 1 else 2
        known = (y >= 0) & (y < C)
        counts = torch.bincount(y[known] * C + decided(z)[known], minlength=C * C)
        table = counts.reshape(C, C).double()
        self.confusion = table if self.confusion is None else self.confusion + table
        losses = _row_losses(z, y.clamp(0, C - 1))
        self.rows += len(y)
        self.loss_sum += float(losses.sum() if loss is None else loss.mean() * len(y))
        self.square_sum += float(losses.square().sum())

    @property
    def loss(self) -> float:
        if self.rows:
            return self.loss_sum / self.rows
        return self.reported[0] if self.reported else math.nan

    @property
    def loss_error(self) -> float:
        """Standard error of the mean loss."""
        if self.rows < 2:
            return 0.0
        spread = max(self.square_sum / self.rows - self.loss**2, 0.0)
        return math.sqrt(spread / self.rows)

    @property
    def accuracy(self) -> float:
        if self.confusion is not None:
            return float(self.confusion.diag().sum() / self.confusion.sum())
        return self.reported[1] if self.reported else math.nan

    @property
    def recalls(self) -> Tensor:
        """Of the classes that are there."""
        assert self.confusion is not None
        sizes = self.confusion.sum(1)
        return self.confusion.diag()[sizes > 0] / sizes[sizes > 0]


class Evaluations:
    """Gathers the rows that are evaluated between two steps into one evaluation."""

    def __init__(self) -> None:
        self.done: list[EvaluationTrace] = []
        self._open: EvaluationTrace | None = None

    def add(self, z: Tensor, target: Any, loss: Tensor | None, step: int, train: float) -> None:
        """Rows with their targets; nothing if these are no classes, or before the first step.

        train: the mean training loss since the last evaluation.
        """
        y = class_indices(target)
        if y is None or len(y) != len(z) or z.ndim > 2 or not step:
            return
        self._begun(step, train).add(z, y, loss)

    def report(self, loss: float, accuracy: float, step: int, train: float) -> None:
        """What the loop itself says of the rows that were evaluated."""
        self._begun(step, train).reported = (loss, accuracy)

    def _begun(self, step: int, train: float) -> EvaluationTrace:
        if self._open is None:
            self._open = EvaluationTrace(step, train_loss=train)
        return self._open

    def end(self) -> bool:
        """Whether an evaluation was going on; it is one of `done` now."""
        if self._open is None:
            return False
        self.done.append(self._open)
        self._open = None
        return True


def decided(z: Tensor) -> Tensor:
    """The likelier class of each row, (N,): of one output by the middle of its range."""
    if z.ndim == 1 or z.shape[1] == 1:
        probabilities = bool(((z >= 0) & (z <= 1)).all())
        return (z.reshape(-1) > (0.5 if probabilities else 0.0)).long()
    return z.argmax(1)


def _row_losses(z: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of each row, for the spread of the mean."""
    if z.ndim == 1 or z.shape[1] == 1:
        target = y.to(z.dtype)
        return nn.functional.binary_cross_entropy_with_logits(
            z.reshape(-1), target, reduction="none"
        )
    return nn.functional.cross_entropy(z, y, reduction="none")
