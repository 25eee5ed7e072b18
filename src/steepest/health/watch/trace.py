"""What a watch has seen of somebody's loop: steps, gradients, losses, evaluations."""

import math
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from steepest.health.check.probes import class_indices
from steepest.health.replay.batches import Batch

CAREFUL = 8  # steps that are looked at closely, after which it is now and then
EVERY = 40  # steps from one such look to the next
_KEPT_BATCHES, _KEPT_BYTES = 30, 64 * 2**20
_EPOCH_LABELS = 400


@dataclass
class OptimizerTrace:
    """An optimizer and what was seen of it. sentinels: a few of its parameters."""

    optimizer: torch.optim.Optimizer
    sentinels: list[Tensor]
    steps: int = 0
    clean: bool = True  # a backward pass since the last step began without gradients
    backwards: int = 0  # passes since the last step
    before: int = 0  # of them, before this step began: none with a closure
    arrived: bool = False  # gradients that are not zero came since the last step
    dirty_steps: int = 0  # in a row
    emptied_steps: int = 0
    norm_arrived: float = math.nan  # of the first sentinel's gradient
    clip_ratios: list[float] = field(default_factory=list)
    last_lr: float | None = None
    highest_lr: float = 0.0
    collapsed_at: int | None = None
    after: tuple[Tensor, int, Tensor] | None = None  # a step: parameter, version, its values

    @cached_property
    def smallest(self) -> Tensor | None:
        """A small matrix, whose values are kept from step to step."""
        weights = [p for p in self.sentinels if p.ndim > 1 and p.numel() < 1e5]
        return min(weights, key=lambda p: p.numel(), default=None)

    def keep_smallest(self, *, values: bool) -> None:
        """Its version as the step left it; values: and its values, else those of before hold."""
        p = self.smallest
        if p is not None:
            old = None if values or self.after is None else self.after[2]
            self.after = p, p._version, p.detach().clone() if old is None else old

    def lr(self) -> float:
        return max([float(g["lr"]) for g in self.optimizer.param_groups if "lr" in g], default=0.0)


@dataclass
class Evaluation:
    """One pass over rows without gradients. confusion: (C, C) counts, true class by row."""

    step: int
    rows: int = 0
    loss_sum: float = 0.0
    square_sum: float = 0.0
    confusion: Tensor | None = None
    train_loss: float = math.nan
    reported: tuple[float, float] | None = None

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


@dataclass
class Jump:
    """Weights that changed by a share of their norm outside a step; the loss before and after."""

    step: int
    change: float
    before: float
    after: float = math.nan


class TrainingTrace:
    """All that the rules of a training may look at."""

    def __init__(self, optimizers: tuple[torch.optim.Optimizer, ...]) -> None:
        self.optimizers = [OptimizerTrace(o, _sentinels(o)) for o in optimizers]
        self.steps = 0
        self.backwards = 0
        self.shared = 0  # forward passes that had their backward pass in common with others
        self.clean_backwards = 0
        self.batches: list[Batch] = []
        self._bytes = 0
        self.recent: deque[float] = deque(maxlen=50)
        self.losses: list[float] = []  # of the first 200 steps
        self.since_evaluation: list[float] = []
        self.labels: list[Tensor] = []
        self.fingerprints: list[float] = []
        self.same_batch = 0
        self.frozen_forwards = 0
        self.lax_forwards = 0
        self.lax_names: list[str] = []
        self.uphill: list[bool] = []
        self.evaluations: list[Evaluation] = []
        self.train_hits: deque[float] = deque(maxlen=50)
        self.classes = 0
        self.first_nonfinite: tuple[int, str] | None = None
        self.reset: Jump | None = None
        self.jump: Jump | None = None  # of the weights, whose harm is still to be seen
        self._loss_step = -1
        self._prior = (0, math.nan)  # of so many minibatches

    def keep(self, batch: Batch) -> None:
        """One of the first minibatches, for experiments."""
        if len(self.batches) >= _KEPT_BATCHES or self._bytes > _KEPT_BYTES:
            return
        tensors = [t for t in (*batch.args, *batch.kwargs.values()) if isinstance(t, Tensor)]
        self._bytes += sum(t.nbytes for t in tensors)
        self.batches.append(batch)

    def add_loss(self, value: float) -> None:
        """Of a pass, before its step."""
        self.recent.append(value)
        self.since_evaluation.append(value)
        if len(self.losses) < 200:
            self.losses.append(value)
        self._loss_step = self.steps
        if self.jump is not None:
            self._judge_jump(self.jump)

    def note_jump(self, change: float) -> None:
        """Noticed after the next pass. If that was not looked at, the one after it will be."""
        known = self._loss_step == self.steps
        before = list(self.recent)[-6 : -1 if known else None]
        mean = sum(before) / len(before) if before else math.nan
        self.jump = Jump(self.steps, change, mean)
        if known and before:
            self._judge_jump(self.jump)

    def _judge_jump(self, jump: Jump) -> None:
        """A reset loses half of what was learned; averages of weights and best weights do not."""
        start, jump.after = self.losses[0], self.recent[-1]
        learned = start - jump.before
        if learned > 0.05 * start and jump.after - jump.before > 0.5 * learned:
            self.reset = self.reset or jump
        self.jump = None

    def label(self, target: Any) -> None:
        if len(self.labels) < _EPOCH_LABELS:
            y = class_indices(target)
            if y is not None:
                self.labels.append(y)

    @property
    def prior_loss(self) -> float:
        """H(pi) of the labels that were trace: the best loss without looking at the input."""
        if not self.labels:
            return math.log(self.classes) if self.classes > 1 else math.nan
        if self._prior[0] != len(self.labels):
            y = torch.cat(self.labels)
            share = y[y >= 0].bincount().double()
            share = share[share > 0] / share.sum()
            prior = float(-(share * share.log()).sum())
            self._prior = (len(self.labels), prior if len(share) > 1 else math.nan)
        return self._prior[1]

    @property
    def loss_now(self) -> float:
        return sum(self.recent) / len(self.recent) if self.recent else math.nan


def _sentinels(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """First, middle and last of the parameters that an optimizer holds."""
    held = [p for g in optimizer.param_groups for p in g["params"] if p.requires_grad]
    places = sorted({0, len(held) // 2, len(held) - 1}) if held else []
    return [held[i] for i in places]
