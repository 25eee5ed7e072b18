"""What a watch has seen of somebody's loop: steps, gradients, losses, evaluations."""

import math
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from steepest.health.replay.batches import Batch, DataSize
from steepest.health.watch.evaluations import Evaluations, EvaluationTrace
from steepest.health.watch.kept_graphs import GraphTrace
from steepest.health.watch.optimizer_trace import CAREFUL, OptimizerTrace, sentinels_of

if TYPE_CHECKING:
    from steepest.health.watch.label_tests import LabelTests

EVERY = 40  # steps from one such look to the next
_LONG = 20 * EVERY  # steps after which it is twice as many: a tenth of the training at most
_KEPT_BATCHES, _KEPT_BYTES = 30, 64 * 2**20
_EPOCH_LABELS = 400


def since_look(steps: int) -> int:
    """Steps since the one that was last due for a look, after the first ones; 0 if it is now."""
    return steps % (EVERY if steps < _LONG else 2 * EVERY)


def number_of(rows: Tensor) -> float:
    """One that two different minibatches hardly share: the sum of all that they hold."""
    return float(rows.detach().sum(dtype=torch.float64))


class LaxPasses:
    """Passes without gradients while dropout or batch norm is at work, by steps.

    Rows that pass at one step and others at the next belong to the steps, as where a net gives
    labels to rows that have none. An evaluation comes after many steps, or has the same rows.
    """

    def __init__(self) -> None:
        self.names: list[str] = []  # of these layers, in the latest
        self._passes: dict[int, int] = {}
        self._rows: dict[int, float] = {}  # a number of the first rows at each step

    def add(self, step: int, x: Tensor, names: list[str]) -> None:
        self.names = names
        self._passes[step] = self._passes.get(step, 0) + 1
        if step not in self._rows:
            self._rows[step] = number_of(x)

    def evaluating(self, step: float) -> int:
        """Passes that were evaluations, as far as the next step says so. step: the latest."""
        return sum(
            passes
            for at, passes in self._passes.items()
            if at + 1 < step and not (self._others(at, at - 1) or self._others(at, at + 1))
        )

    def _others(self, one: int, other: int) -> bool:
        return other in self._rows and self._rows[one] != self._rows[other]


@dataclass
class Jump:
    """Weights that changed by a share of their norm outside a step; the loss before and after."""

    step: int
    change: float
    before: float
    after: float = math.nan


class TrainingTrace:
    """All that the rules of a training may look at. Written by the observer, read by the rules.

    Invariants: `since_evaluation` holds the losses of passes after the last of `evaluations`;
    `jump` is set from the moment that weights changed outside a step until the next loss says
    whether that did harm, and `reset` is the first jump that did.
    """

    def __init__(self, optimizers: tuple[torch.optim.Optimizer, ...]) -> None:
        self.optimizers = [OptimizerTrace(o, sentinels_of(o)) for o in optimizers]
        self.steps = 0  # of the optimizer that took most of them
        self.ended = False
        # Passes.
        self.backwards = 0
        self.clean_backwards = 0  # that began without gradients, of each optimizer
        self.early_steps = 0  # that came before the backward pass of their minibatch
        self.shared = 0  # forward passes that had their backward pass in common with others
        self.frozen_forwards = 0  # in a row, with gradients, all in eval mode
        self.lax = LaxPasses()
        self.graphs = GraphTrace()
        self.fingerprints: list[float] = []  # a number of the inputs of each step looked at closely
        self.same_batch = 0  # steps in a row with the number of the look before
        self.batch_rows = 0  # of the latest
        self.data: DataSize | None = None  # of the loader that was handed over
        self.uphill: list[bool] = []  # whether the gradient pushed the true class down, at looks
        # Rows.
        self.batches: list[Batch] = []  # the first ones, for experiments
        self.labels: list[Tensor] = []  # (B,) class indices of the rows of each of the first steps
        self._of_this_step: list[Tensor] = []
        self.classes = 0  # C, 0 until it is known
        self.train_hits: deque[float] = deque(maxlen=50)  # accuracy of the latest minibatches
        # Losses.
        self.losses: list[float] = []  # of the first 200 steps
        self.recent: deque[float] = deque(maxlen=50)
        self.since_evaluation: list[float] = []
        self.first_nonfinite: tuple[int, str] | None = None  # step, and of what
        # Weights that change outside a step.
        self.jump: Jump | None = None
        self.reset: Jump | None = None
        # Whether other evidence bears out that the labels belong to their rows; set by the judge.
        self.ask_labels: Callable[[], LabelTests | None] = lambda: None
        self._fingerprint_step = -1
        self._bytes = 0  # of `batches`
        self._evaluations = Evaluations()
        self._loss_step = -1  # the steps that were done at the latest loss
        self._counted = 0  # minibatches whose labels are in the two below
        self._counts: Tensor | None = None  # (C,) of each class
        self._prior = math.nan

    @property
    def equal_batches(self) -> list[Batch]:
        """Those of the first minibatches that have as many rows as the very first."""
        return [batch for batch in self.batches if batch.rows == self.batches[0].rows]

    @property
    def evaluations(self) -> list[EvaluationTrace]:
        """Those that have ended."""
        return self._evaluations.done

    def evaluate(self, z: Tensor, target: Any, loss: Tensor | None) -> None:
        """Rows that passed without gradients: their logits, targets, and mean loss if known."""
        self._evaluations.add(z, target, loss, self.steps, _mean(self.since_evaluation))

    def report(self, loss: float, accuracy: float) -> None:
        """What the loop itself says of the rows that were evaluated."""
        self._evaluations.report(loss, accuracy, self.steps, _mean(self.since_evaluation))

    def end_evaluation(self) -> bool:
        """Whether rows were evaluated since the last call; they are one of `evaluations` now."""
        ended = self._evaluations.end()
        if ended:
            self.since_evaluation = []
        return ended

    def weights_moved(self) -> bool:
        """Whether the weights are others than at the start, whoever moved them."""
        return any(optimizer.moved() for optimizer in self.optimizers)

    def looks_closely(self, optimizer: OptimizerTrace) -> bool:
        """Whether it is looked at gradients that an earlier step may have left."""
        return optimizer.steps < CAREFUL or since_look(self.steps) < 2

    def backward_begins(self) -> None:
        self.backwards += 1
        for optimizer in self.optimizers:
            optimizer.backward_begins(closely=self.looks_closely(optimizer))
            self.clean_backwards += optimizer.clean

    def note_inputs(self, fingerprint: float, rows: int) -> None:
        """A number that two different minibatches hardly share; the first of a step counts."""
        if self._fingerprint_step == self.steps:
            return
        self._fingerprint_step, self.batch_rows = self.steps, rows
        same = bool(self.fingerprints) and self.fingerprints[-1] == fingerprint
        self.same_batch = self.same_batch + 1 if same else 0
        self.fingerprints.append(fingerprint)

    def note_nonfinite(self, where: str) -> None:
        """The first time counts."""
        if self.first_nonfinite is None:
            self.first_nonfinite = (self.steps + 1, where)

    def keep(self, batch: Batch) -> None:
        """One of the first minibatches, for experiments."""
        if len(self.batches) >= _KEPT_BATCHES or self._bytes > _KEPT_BYTES:
            return
        batch = batch.detached()
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
        self.jump = Jump(self.steps, change, _mean(before))
        if known and before:
            self._judge_jump(self.jump)

    def _judge_jump(self, jump: Jump) -> None:
        """A reset loses half of what was learned; averages of weights and best weights do not."""
        start, jump.after = self.losses[0], self.recent[-1]
        learned = start - jump.before
        if learned > 0.05 * start and jump.after - jump.before > 0.5 * learned:
            self.reset = self.reset or jump
        self.jump = None

    def label(self, y: Tensor | None) -> None:
        """Of a pass, (B,) class indices if known; the step that comes may follow several."""
        if y is not None and len(self.labels) < _EPOCH_LABELS:
            self._of_this_step.append(y)

    def end_labels(self) -> None:
        """A step was taken on the rows whose labels came since the last."""
        if self._of_this_step:
            self.labels.append(torch.cat(self._of_this_step))
            self._of_this_step = []

    @property
    def prior_loss(self) -> float:
        """H(pi) of the labels that were trace: the best loss without looking at the input."""
        if not self.labels:
            return math.log(self.classes) if self.classes > 1 else math.nan
        # After an eighth more of them: a count each time takes longer than all else at a look.
        if 8 * len(self.labels) > 9 * self._counted:
            y = torch.cat(self.labels[self._counted :])
            known = 0 if self._counts is None else len(self._counts)
            counts = y[y >= 0].bincount(minlength=known).double()
            if self._counts is not None:
                counts[:known] += self._counts
            self._counts, self._counted = counts, len(self.labels)
            prior = torch.special.entr(counts / counts.sum()).sum()
            self._prior = float(prior) if int(counts.count_nonzero()) > 1 else math.nan
        return self._prior

    @property
    def loss_is_fresh(self) -> bool:
        """Whether the latest loss is that of the last step."""
        return self._loss_step + 1 == self.steps

    @property
    def untrained_loss(self) -> float:
        """Of a net that has learned nothing: the first one, or that of a constant answer.

        The first loss says nothing of a net that was trained before, or that starts far off.
        """
        first, prior = self.losses[0] if self.losses else math.nan, self.prior_loss
        return first if not 0.5 * prior > first and not first > 1.5 * prior else prior

    @property
    def loss_now(self) -> float:
        return _mean(self.recent)


def _mean(losses: Collection[float]) -> float:
    return sum(losses) / len(losses) if losses else math.nan
