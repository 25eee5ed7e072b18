"""Asked: what a sweep is to do, and whether one that is there may go on with it."""

import json
from dataclasses import dataclass
from typing import Any

from steepest.errors import RecipeError
from steepest.recipe import SETTINGS, Recipe
from steepest.recipe.values import whole
from steepest.sweeps.metrics import Metric
from steepest.sweeps.pruners import check_pruner
from steepest.sweeps.space import SAMPLERS, Space


@dataclass(frozen=True)
class Asked:
    """What is to be done: all that decides the results, but the data.

    Attributes:
        base: What the runs have in common.
        space: What varies.
        seeds: Of each trial.
        sampler: How points are taken of the space.
        trials: How many; None for all of a grid.
        pruner: Who ends trials early.
        metric: What runs are compared by.
        keep_best: So many runs keep their weights.
    """

    base: Recipe
    space: Space
    seeds: tuple[int, ...]
    sampler: str
    trials: int | None
    pruner: str
    metric: Metric
    keep_best: int

    def facts(self, data: str) -> dict[str, Any]:
        """The same as plain values, as a record gives them back. data: the name of the data."""
        facts = {
            "recipe": self.base.to_toml(),
            "given": sorted(self.base.given),  # a preset decides the others
            "space": self.space.to_json(),
            "seeds": list(self.seeds),
            "sampler": self.sampler,
            "trials": self.trials,
            "pruner": self.pruner,
            "metric": self.metric.name,
            "keep_best": self.keep_best,
            "data": data,
        }
        plain: dict[str, Any] = json.loads(json.dumps(facts))
        return plain


def asked_for(
    base: Recipe,
    space: Space,
    seeds: Any,
    sampler: str,
    trials: int | None,
    pruner: str,
    metric: str,
    keep_best: int,
) -> Asked:
    """What these arguments of `sweep` ask for. Raises RecipeError where they cannot be had."""
    check_pruner(pruner, Metric.of(metric))
    if sampler.partition(" ")[0] not in SAMPLERS:  # of Optuna with its class
        raise RecipeError(f"sampler must be one of {', '.join(SAMPLERS)}, but is {sampler!r:.40}")
    if sampler.startswith("optuna") and pruner in ("halving", "asha"):
        raise RecipeError(
            f"pruner {pruner} needs all trials at once, and sampler optuna asks for them one after "
            "the other: take pruner 'optuna' or 'none'"
        )
    require_whole("keep_best", keep_best, 0)
    return Asked(
        base,
        space,
        _seeds(seeds, base.seed),
        sampler,
        trials,
        pruner,
        Metric.of(metric),
        keep_best,
    )


def require_whole(name: str, value: Any, least: int) -> None:
    """Raise RecipeError unless an argument is a whole number of at least this."""
    values = whole(least)
    if not values.holds(value):
        raise RecipeError(f"{name} must be {values.expected}, but is {value!r:.40}")


def _seeds(seeds: Any, first: int) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise RecipeError(f"seeds must be at least 1, but is {seeds}")
        return tuple(range(first, first + seeds))
    values = SETTINGS["seed"].values
    if not isinstance(seeds, (list, tuple, range)) or not seeds or len(set(seeds)) < len(seeds):
        raise RecipeError(f"seeds takes a number or a list of different ones, but is {seeds!r:.60}")
    for seed in seeds:
        if not values.holds(seed):
            raise RecipeError(f"a seed must be {values.expected}, but is {seed!r:.40}")
    return tuple(seeds)


def goes_with(key: str, before: Any, now: Any) -> bool:
    """Whether a sweep may go on with this fact: it adds runs, and changes none that is there."""
    if before == now or key in ("keep_best", "given"):
        return True
    if key == "recipe":  # the file may lie elsewhere: the rows are compared by themselves
        recipes = [Recipe.from_toml(text, "the sweep's recipe") for text in (before, now)]
        return recipes[0].replace(data=None) == recipes[1].replace(data=None)
    if key == "seeds":
        return bool(now[: len(before)] == before)
    return key == "trials" and isinstance(before, int) and isinstance(now, int) and now > before
