"""Which weights are evaluated and kept: the last, their average, or those of the best epoch."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn

from steepest.data import Inputs
from steepest.engine import OptimizerState, Plan, Rows, reference_parameter
from steepest.errors import ModelError, RunError

_ROWS_AT_ONCE = 1024


def averages(state: OptimizerState) -> dict[str, Tensor]:
    """The averages of the parameters, by name; empty if the engine keeps none."""
    return {name: kept["average"] for name, kept in state.items() if "average" in kept}


@contextmanager
def averages_in(model: nn.Module, state: OptimizerState) -> Iterator[None]:
    """Within the block the parameters are the engine's averages, if it keeps any."""
    values = averages(state)
    if not values:
        yield
        return
    named = dict(model.named_parameters())
    before = {name: named[name].detach().clone() for name in values}
    load_tensors(model, values)
    try:
        yield
    finally:
        load_tensors(model, before)


@torch.no_grad()
def load_tensors(model: nn.Module, values: dict[str, Tensor]) -> None:
    """Copy these values into the model's parameters and buffers, by name."""
    if not values:  # to look for names takes as long as a small net's steps
        return
    named = dict(_named(model))
    for name, value in values.items():
        named[name].copy_(value)


def require_weights(own: Mapping[str, Tensor], values: Mapping[str, Tensor], what: str) -> None:
    """Raise RunError unless these are values of a model's own tensors: a file may hold anything.

    what: they are called in the message.
    """
    for name in sorted(own.keys() | values.keys()):
        here, there = own.get(name), values.get(name)
        if (
            here is None
            or there is None
            or here.shape != there.shape
            or here.is_floating_point() != there.is_floating_point()
        ):
            found, expected = (
                "missing" if t is None else f"{t.dtype} of the shape {tuple(t.shape)}"
                for t in (there, here)
            )
            raise RunError(
                f"{what} do not fit this model: {name!r} is {found} in the checkpoint, and "
                f"{expected} in the model"
            )


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers, by name; of a tied one under each of its names."""
    return {name: tensor.detach().clone() for name, tensor in _named(model)}


def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


class Best:
    """The weights of the best epoch so far.

    Attributes:
        epoch: Counted from 0, -1 for none.
        cost: What is lowest there, as the recipe's best_by says.
        loss: The validation loss, by which epochs of equal cost are decided.
    """

    def __init__(self) -> None:
        self.epoch = -1
        self.cost = self.loss = math.inf
        self.weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, cost: float, val_loss: float, model: nn.Module) -> None:
        """Keep the model's weights if this cost is the lowest yet."""
        if math.isfinite(val_loss) and (cost, val_loss) < (self.cost, self.loss):
            self.epoch, self.cost, self.loss = epoch, cost, val_loss
            self.weights = snapshot(model)

    def restore(self, model: nn.Module) -> None:
        load_tensors(model, self.weights)


@torch.no_grad()
def go_on_from(model: nn.Module, earlier: nn.Module) -> None:
    """Give a model the weights of an earlier one of the same form.

    Raises:
        ModelError: Some parameter or buffer is there in one of them alone, or of another shape.
    """
    was, now = (
        {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
        for net in (earlier, model)
    )
    if was != now:
        name = next(n for n in {**was, **now} if was.get(n) != now.get(n))
        raise ModelError(
            f"the net to go on from is of another form: {name} was {was.get(name, 'not there')} "
            f"and is now {now.get(name, 'not there')}; keep the settings of the net and the "
            "columns, or begin anew"
        )
    model.load_state_dict(earlier.state_dict())


def first_averaged(plan: Plan) -> int:
    """The first epoch of stochastic weight averaging; the run's number of epochs without it.

    Of the E epochs of a run (the last may be cut short by `steps`) these are the last
    max(1, round(swa * E)).
    """
    epochs, share = -(-plan.total_steps // plan.steps_per_epoch), plan.recipe.swa
    return epochs - max(1, round(share * epochs)) if share else epochs


class EpochAverage:
    """Stochastic weight averaging: the mean of the weights after some epochs (Izmailov, 2018).

    first: the epoch from which on they count. epochs: how many are in the means.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.epochs = 0
        self.means: dict[str, Tensor] = {}

    @classmethod
    def resumed(cls, plan: Plan, done: int, epochs: int, means: dict[str, Tensor]) -> Self:
        """The average of a run that goes on after `done` epochs, of which the last are in `means`.

        Raises RunError where the run's new length asks for a mean that can no longer be made.
        """
        average = cls(first_averaged(plan))
        began = done - epochs
        if average.first >= done or not plan.recipe.swa:  # nothing of what is done counts
            return average
        if average.first != began:
            before = f"epoch {began} on" if epochs else "none on yet"
            raise RunError(
                f"swa = {plan.recipe.swa:g} of a run of this length averages the epochs from "
                f"{average.first} on, but {done} are done and {before} were averaged: give it the "
                f"length that it had, or so many epochs that the average begins at {done} or later"
            )
        named = dict(plan.model.named_parameters())
        average.epochs = epochs
        average.means = {name: mean.to(named[name].device) for name, mean in means.items()}
        return average

    def add(self, epoch: int, model: nn.Module) -> None:
        """Take in the parameters after this epoch, if it counts."""
        if epoch < self.first:
            return
        self.epochs += 1
        for name, p in model.named_parameters():
            value = p.detach().double()
            if name in self.means:
                self.means[name] += (value - self.means[name]) / self.epochs
            else:
                self.means[name] = value.clone()

    def finish(self, model: nn.Module, inputs: Inputs) -> None:
        """Give the model the mean, and batch normalisation the statistics that belong to it."""
        if self.epochs:
            load_tensors(model, self.means)
            renew_statistics(model, inputs)


@torch.no_grad()
def renew_statistics(model: nn.Module, inputs: Inputs) -> None:
    """Compute batch norm's running statistics anew from all rows, as swa_utils.update_bn does."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.running_mean is not None]
    if not norms:
        return
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # the plain mean over the minibatches
    like = reference_parameter(model)
    rows = Rows(inputs, like)
    try:
        for batch in torch.arange(len(rows), device=like.device).split(_ROWS_AT_ONCE):  # type: ignore[no-untyped-call]
            if len(batch) > 1:
                model(rows[batch])
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.train(mode)
