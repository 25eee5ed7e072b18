"""The learning-rate range test: ever larger rates on a copy of the model, until the loss blows up.

Source: L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3.
"""

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steepest.engine import Plan, choose
from steepest.errors import ModelError, RecipeError
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
class RangeTest:
    """What a learning-rate range test of S steps saw.

    Attributes:
        rates: (S,) learning rates, each the same factor above the one before.
        losses: (S,) mean losses of each step's minibatch, in nats.
        smoothed: (S,) their exponential mean, decay 0.9, without its bias towards 0.
        suggestion: The learning rate to take: a tenth of the one at which `smoothed` is lowest.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: float


def range_test(plan: Plan) -> RangeTest:
    """The range test of a plan. Its model is copied; nothing of the plan changes.

    Raises:
        RecipeError: The optimizer searches its own steps, or no rate gives a finite loss.
        ModelError: The weights hold NaN or infinity before the first step.
    """
    if plan.recipe.optimizer == "lbfgs":
        raise RecipeError("lbfgs searches its step along a line: leave out lr", settings=("lr",))
    trial = replace(plan, model=copy.deepcopy(plan.model))
    engine = choose(trial).engine
    engine.load(trial)
    rates = np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for step, rate in enumerate(rates):
        loss = engine.advance([float(rate)]).loss
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        value = mean / (1 - _SMOOTHING ** (step + 1))
        if not math.isfinite(value) or (smoothed and value > _BLOWN_UP * min(smoothed)):
            break
        losses.append(loss)
        smoothed.append(value)
    if not smoothed:
        if wrong := non_finite(snapshot(plan.model)):
            raise ModelError(f"{wrong[0]} holds NaN or infinity before the first step")
        raise RecipeError(
            "the loss is not finite at any learning rate: the first weights are too large, or the "
            "inputs are; scale the inputs (scaling = 'standardise')",
            settings=("scaling",),
        )
    lowest = int(np.argmin(smoothed))
    return RangeTest(
        rates[: len(losses)],
        np.array(losses),
        np.array(smoothed),
        float(f"{rates[lowest] / _SAFETY:.2g}"),
    )
