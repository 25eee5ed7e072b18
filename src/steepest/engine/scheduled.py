"""Numbers that follow a schedule within a run: factors of weight decay, dropout and smoothing."""

import math
from typing import NamedTuple

from steepest.engine.contract import Plan

_TURNS = 4


class Factors(NamedTuple):
    """What the recipe's numbers are multiplied by in one step, from 0 to 1."""

    weight_decay: float = 1.0
    dropout: float = 1.0
    label_smoothing: float = 1.0


def schedule_factor(name: str, share: float) -> float:
    """The factor of a schedule where a share of the run is done.

    With the share t: constant 1; cosine (1 + cos(pi t)) / 2; flat_cos 1 up to the middle, then the
    cosine from 1 to 0; coslog4 (1 - cos(2 pi log2(1 + 15 t))) / 2, four waves from 0 over 1 to 0,
    each about twice as long as the one before.

    Args:
        name: Of the schedule.
        share: Of the steps, 0 at the first.

    Source:
        Holzmüller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024 (RealMLP).
    """
    share = min(1.0, share)
    match name:
        case "cosine":
            return (1 + math.cos(math.pi * share)) / 2
        case "flat_cos":
            return (1 + math.cos(math.pi * max(0.0, 2 * share - 1))) / 2
        case "coslog4":
            return (1 - math.cos(2 * math.pi * math.log2(1 + (2**_TURNS - 1) * share))) / 2
    return 1.0


def factors_change(plan: Plan) -> bool:
    """Whether any of the factors is other than 1."""
    recipe = plan.recipe
    names = (
        recipe.weight_decay_schedule,
        recipe.dropout_schedule,
        recipe.label_smoothing_schedule,
    )
    return any(name != "constant" for name in names)


def factors_at(plan: Plan, step: int) -> Factors:
    """The factors of a step: a function of the recipe, the run's length and the step alone."""
    recipe, share = plan.recipe, step / plan.planned_steps
    return Factors(
        schedule_factor(recipe.weight_decay_schedule, share),
        schedule_factor(recipe.dropout_schedule, share),
        schedule_factor(recipe.label_smoothing_schedule, share),
    )
