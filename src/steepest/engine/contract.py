"""What an engine promises: load a plan, advance by steps, export what it learned. Nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import islice
from operator import add
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.data import Inputs
from steepest.objective import Objective, TrainingLoss, class_weights
from steepest.random import Purpose, block_permutation, drawn, permutation
from steepest.recipe import Recipe

# Rows shuffled by blocks: of so many blocks of so many bytes the rows are mixed.
BLOCKS_MIXED = 16
_BLOCK_BYTES = 4 * 2**20

# By parameter name, then by what is kept of it: {"1.weight": {"momentum": tensor}}. What
# torch.optim keeps has its names there; "average" is that of the weights over the steps.
OptimizerState = dict[str, dict[str, Tensor]]

Order = Callable[[int], NDArray[np.int64]]


def in_turn(rows: int) -> Order:
    """The order of so many rows as they lie, in every epoch."""
    return lambda epoch: np.arange(rows)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained: everything an engine needs, and nothing about files or screens.

    Attributes:
        model: Its parameters are the user's own tensors: an engine changes them in place.
        objective: What the model's outputs are, and the loss that fits them.
        inputs: The training rows, N of them.
        targets: (N,) int64 class indices, checked, or (N, C) int64 of 0 and 1 where a row may have
            several classes.
        recipe: Every setting.
        class_names: C of them; None for 0, 1, ...
        given_order: The rows of each epoch, (N,) int64, in place of what the recipe says.
        given_loss: In place of the recipe's, as that of other rows than these.
        sample_weights: (N,) float32, how much the loss of each row counts; None for 1.
        planned_epochs: Those that schedules end with, where a time limit left fewer than the
            recipe has.
    """

    model: nn.Module
    objective: Objective
    inputs: Inputs
    targets: NDArray[np.int64]
    recipe: Recipe
    class_names: tuple[str, ...] | None = None
    given_order: Order | None = None
    given_loss: TrainingLoss | None = None
    sample_weights: NDArray[np.float32] | None = None
    planned_epochs: int | None = None

    @cached_property
    def loss(self) -> TrainingLoss:
        """What is made small."""
        if self.given_loss is not None:
            return self.given_loss
        return TrainingLoss.of(
            self.recipe, self.objective, self.targets, self.class_names, self.sample_weights
        )

    @property
    def rows(self) -> int:
        """N, the number of training rows."""
        return len(self.targets)

    @property
    def batch_size(self) -> int:
        """Rows in a minibatch; the last one of an epoch may be shorter."""
        size = self.recipe.batch_size
        return self.rows if size == "full" else min(size, self.rows)

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches of an epoch, the last and perhaps shorter one included."""
        return -(-self.rows // self.batch_size)

    @property
    def total_steps(self) -> int:
        """The steps of the whole run: those of all epochs, or `steps` if these are fewer."""
        all_epochs = self.recipe.epochs * self.steps_per_epoch
        return all_epochs if self.recipe.steps is None else min(all_epochs, self.recipe.steps)

    @property
    def planned_steps(self) -> int:
        """The steps that schedules end with."""
        epochs = self.planned_epochs
        return self.total_steps if epochs is None else epochs * self.steps_per_epoch

    @property
    def row_weights(self) -> NDArray[np.float64] | None:
        """What each row is drawn by, (N,), None if each row is taken once an epoch."""
        if self.recipe.sampling != "weighted" or self.given_order is not None:
            return None
        names = self.class_names or tuple(map(str, range(self.loss.classes)))
        weights = class_weights(self.recipe, self.targets, names)
        assert weights is not None
        return np.asarray(weights, dtype=np.float64)[self.targets]

    @property
    def block_rows(self) -> int:
        """Successive rows that are read together where rows are shuffled by blocks: 4 MiB."""
        array = self.inputs.array
        return max(1, _BLOCK_BYTES // max(1, array[:1].nbytes))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The training rows of an epoch in their order, (N,) int64: each once, or as drawn."""
        if self.given_order is not None:
            return self.given_order(epoch)
        weights = self.row_weights
        if weights is not None:
            return drawn(weights, self.recipe.seed, Purpose.SAMPLE, epoch)
        if self.recipe.sampling == "blocks":
            block = self.block_rows
            return block_permutation(self.rows, block, BLOCKS_MIXED, self.recipe.seed, epoch)
        return permutation(self.rows, self.recipe.seed, Purpose.SHUFFLE, epoch)

    def minibatches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """The training rows of each minibatch of an epoch, (B,) int64, one after the other."""
        order = self.order(epoch)
        for begin in range(0, self.rows, self.batch_size):
            yield order[begin : begin + self.batch_size]

    def minibatch(self, step: int) -> NDArray[np.int64]:
        """The training rows of the minibatch of this step of the run, (B,) int64."""
        epoch, i = divmod(step, self.steps_per_epoch)
        return next(islice(self.minibatches(epoch), i, None))


@dataclass(frozen=True)
class LayerStats:
    """One layer at one step, before its update.

    Activations are those of what follows the layer: its activation function, or the layer itself
    if none does.

    Attributes:
        name: Of the layer's module.
        weight_norm: Euclidean norm of W.
        gradient_norm: Euclidean norm of dL/dW, before clipping and penalties.
        update_ratio: |dW| / |W|, where dW is what the step added to W.
        activation_mean: Over all rows of the minibatch and all units.
        activation_std: Likewise.
        inactive: The share of the activations that are exactly 0 (rectifiers) or within 1 % of a
            bound (tanh, sigmoid).
    """

    name: str
    weight_norm: float
    gradient_norm: float
    update_ratio: float
    activation_mean: float
    activation_std: float
    inactive: float


@dataclass(frozen=True)
class StepStats:
    """What some consecutive steps did: sums, so that any number of them can be added up.

    Losses are added up step by step, so a sum has the same bits however the steps were divided
    among calls.

    Attributes:
        steps: How many steps.
        rows: How many rows their minibatches had together.
        loss_sum: The sum over these rows of the loss, each at the weights of its own step.
        correct: Rows whose likeliest class was the true one.
        layers: Of the last step, if asked for.
        step_losses: What each step adds to `loss_sum`, where these are the steps of one call.
    """

    steps: int
    rows: int
    loss_sum: float
    correct: int
    layers: tuple[LayerStats, ...] = ()
    step_losses: Sequence[float] = field(default=(), repr=False, compare=False)

    @classmethod
    def of_call(
        cls,
        rows: int,
        step_losses: Sequence[float],
        correct: int,
        layers: tuple[LayerStats, ...] = (),
    ) -> Self:
        """Those of one call of an engine."""
        loss_sum = reduce(add, step_losses, 0.0)
        return cls(len(step_losses), rows, loss_sum, correct, layers, step_losses)

    def __add__(self, later: "StepStats") -> "StepStats":
        return StepStats(
            self.steps + later.steps,
            self.rows + later.rows,
            reduce(add, later.step_losses or (later.loss_sum,), self.loss_sum),
            self.correct + later.correct,
            later.layers or self.layers,
        )

    @property
    def loss(self) -> float:
        """Mean loss of a row."""
        return self.loss_sum / self.rows

    @property
    def accuracy(self) -> float:
        """Share of the rows whose likeliest class was the true one."""
        return self.correct / self.rows


NO_STEPS = StepStats(steps=0, rows=0, loss_sum=0.0, correct=0)


class Engine(Protocol):
    """Moves one model down its gradient. Owns the speed, never the meaning.

    Between `load` and `export` the model belongs to the engine; `export` makes its parameters and
    buffers current. The minibatch of a step is `plan.minibatch(step)`, so how many steps one call
    takes changes nothing. An engine is made without arguments, and `type(engine)()` makes another
    one of its kind: for what-ifs on copies of the model, and to go on after a divergence.
    """

    @property
    def name(self) -> str:
        """What it is called in messages and in the record: "native", "torch"."""
        ...

    def __init__(self) -> None: ...

    def load(self, plan: Plan, optimizer: OptimizerState | None = None, step: int = 0) -> None:
        """Make ready for a step; what was loaded before is forgotten.

        Args:
            plan: What is to be trained.
            optimizer: What `export` returned, to go on from there; None to begin.
            step: The number of the step to come; 0 is the first of a run.

        Raises:
            EngineError: If this engine cannot run the plan.
        """
        ...

    def advance(self, rates: Sequence[float], *, statistics: bool = False) -> StepStats:
        """Take steps.

        Args:
            rates: The learning rate of each of the steps.
            statistics: Whether to measure the layers at the last of them.
        """
        ...

    def update_model(self) -> None:
        """Make the model current: all that its outputs need, unless averages are kept."""
        ...

    def export(self) -> OptimizerState:
        """Make the model current and return a copy of the optimizer's state."""
        ...
