"""find_lr(): the learning-rate range test, on a copy of the model."""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from steepest.engine import Plan, choose
from steepest.errors import ModelError, RecipeError
from steepest.recipe import Recipe
from steepest.training.divergence import non_finite
from steepest.training.weights import snapshot

_STEPS = 200
_LOWEST, _HIGHEST = 1e-6, 10.0
_SMOOTHING = 0.9
# The test ends when the smoothed loss is so many times its lowest value.
_BLOWN_UP = 4.0
# The loss is lowest shortly before it blows up; a tenth of that rate is safe and quick.
_SAFETY = 10.0


@dataclass(frozen=True, eq=False)
class RateTest:
    """The losses of a range test.

    rates: (S,), growing from step to step. losses: (S,), of each step's minibatch. smoothed: (S,),
    their exponential mean. suggestion: a tenth of the rate where that is lowest.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: float


def find_lr(
    model: nn.Module | None = None, data: Any = None, recipe: Recipe | None = None, **settings: Any
) -> RateTest:
    """Try ever larger learning rates for a few steps and suggest one (Smith, WACV 2017).

    The rate grows by the same factor from step to step, from 1e-6 to 10 over 200 steps, until the
    loss blows up. The arguments are those of `train`; the model is left as it was.
    """
    from steepest.training.preparation import prepare

    recipe = Recipe.of(recipe, {**settings, "lr": None})
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model)
    with torch.inference_mode(False), torch.enable_grad():
        return test_rates(prepare(model, data, recipe).plan)


def test_rates(plan: Plan) -> RateTest:
    """The range test of a plan. Its model is copied; nothing of the plan changes."""
    if plan.recipe.optimizer == "lbfgs":
        raise RecipeError("lbfgs searches its step along a line: leave out lr")
    trial = replace(plan, model=copy.deepcopy(plan.model))
    engine = choose(trial).engine
    engine.load(trial)
    rates = np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for i, rate in enumerate(rates):
        loss = engine.advance([float(rate)]).loss
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        value = mean / (1 - _SMOOTHING ** (i + 1))
        if not math.isfinite(value) or (smoothed and value > _BLOWN_UP * min(smoothed)):
            break
        losses.append(loss)
        smoothed.append(value)
    if not smoothed:
        if wrong := non_finite(snapshot(plan.model)):
            raise ModelError(f"{wrong[0]} holds NaN or infinity before the first step")
        raise RecipeError(
            "the loss is not finite at any learning rate: the first weights are too large, or the "
            "inputs are; scale the inputs (scaling = 'standardise')"
        )
    lowest = int(np.argmin(smoothed))
    return RateTest(
        rates[: len(losses)],
        np.array(losses),
        np.array(smoothed),
        float(f"{rates[lowest] / _SAFETY:.2g}"),
    )
