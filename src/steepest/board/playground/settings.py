"""What a person may choose in the playground, and the recipe that it makes."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steepest.board.playground.points import Points, make_points, read_points, with_faults
from steepest.errors import DataError, RecipeError, did_you_mean
from steepest.recipe import Recipe

# The settings of a recipe that the playground has. Others need files, or what stands around a
# training: validation losses that steer it, checkpoints, a record.
ALLOWED = (
    *("hidden", "activation", "init", "dropout", "batch_norm", "layer_norm", "residual"),
    *("batch_size", "optimizer", "lr", "momentum", "nesterov", "betas", "weight_decay", "l1", "l2"),
    *("schedule", "warmup", "label_smoothing", "clip_norm", "mixup", "scaling", "seed", "epochs"),
    *("gamma", "step_size", "min_lr", "class_weight", "sampling"),
)
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "muon")
SCHEDULES = ("constant", "cosine", "flat_cos", "coslog4", "step", "exponential", "one_cycle")
DEFAULTS: dict[str, Any] = {
    "hidden": (8, 8),
    "activation": "tanh",
    "optimizer": "sgd",
    "lr": 0.3,
    "batch_size": 16,
    "epochs": 400,
    "scaling": "standardise",
}
DEFAULT_DATA: dict[str, Any] = {
    "kind": "circles",
    "classes": 3,
    "rows": 300,
    "noise": 0.05,
    "seed": 0,
    "validation": 0.3,
    "mislabelled": 0.0,
    "stretch": 1.0,
    "csv": None,
}

MOST_LAYERS, MOST_UNITS, MOST_EPOCHS = 8, 64, 10_000
MOST_LANES = 100
# Weights of all lanes together: what one frame can copy and draw in its time.
_MOST_WEIGHTS = 400_000


@dataclass(frozen=True)
class Chosen:
    """points: labelled. recipe: of each lane, those of all lanes alike in data. names: of lanes."""

    points: Points
    recipes: tuple[Recipe, ...]
    names: tuple[str, ...]
    settings: dict[str, Any]
    data: dict[str, Any]


def choose_settings(wanted: Mapping[str, Any]) -> Chosen:
    """What was asked for, checked.

    Args:
        wanted: data (see `DEFAULT_DATA`), recipe (settings by name) and lanes: a list of what
            differs in each ({"name": ..., settings}), or a number of seeds.

    Raises:
        DataError: Of points that cannot be.
        RecipeError: Of settings that cannot be.
    """
    _only(wanted, ("data", "recipe", "lanes"), "playground")
    data = DEFAULT_DATA | _mapping(wanted, "data")
    _only(data, DEFAULT_DATA, "data")
    points = _points(data)
    settings = DEFAULTS | _mapping(wanted, "recipe")
    recipe = _recipe(settings, _number(data, "validation", float))
    names, recipes = [], []
    for i, differs in enumerate(_lanes(wanted.get("lanes") or 1, recipe.seed)):
        name = str(differs.pop("name", f"lane {i + 1}"))
        _only(differs, ALLOWED, f"lane {name!r}")
        changed = recipe.replace(**_tuples(differs)) if differs else recipe
        recipes.append(_checked(changed))
        names.append(name)
    _require_room(recipes, points)
    return Chosen(points, tuple(recipes), tuple(names), settings, data)


def _points(data: dict[str, Any]) -> Points:
    if data["csv"]:
        points = read_points(str(data["csv"]))
    else:
        points = make_points(
            str(data["kind"]),
            classes=_number(data, "classes", int),
            rows=_number(data, "rows", int),
            noise=_number(data, "noise", float),
            seed=_number(data, "seed", int),
        )
    return with_faults(
        points,
        mislabelled=_number(data, "mislabelled", float),
        stretch=_number(data, "stretch", float),
        seed=_number(data, "seed", int),
    )


def _number(table: dict[str, Any], name: str, kind: type[int] | type[float]) -> Any:
    value = table[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value != kind(value):
        raise DataError(f"{name} must be a number ({kind.__name__}), but is {value!r:.60}")
    return kind(value)


def _lanes(lanes: Any, seed: int) -> list[dict[str, Any]]:
    if isinstance(lanes, int) and not isinstance(lanes, bool):
        if not 1 <= lanes <= MOST_LANES:
            raise RecipeError(f"seeds must lie between 1 and {MOST_LANES}, but there are {lanes}")
        if lanes == 1:
            return [{"name": f"seed {seed}"}]
        return [{"name": f"seed {seed + i}", "seed": seed + i} for i in range(lanes)]
    if not isinstance(lanes, list) or not 1 <= len(lanes) <= MOST_LANES:
        raise RecipeError(f"lanes must be a number of seeds or a list of at most {MOST_LANES}")
    if not all(isinstance(lane, Mapping) for lane in lanes):
        raise RecipeError("each lane must be a table of what differs in it")
    return [dict(lane) for lane in lanes]


def _recipe(settings: Mapping[str, Any], validation: float) -> Recipe:
    _only(settings, ALLOWED, "recipe")
    if not 0 <= validation < 1:
        raise RecipeError(f"validation must be a share from 0 to below 1, but is {validation}")
    fixed = {"validation": validation, "threads": 1, "check": False}
    chosen = {name: value for name, value in _tuples(settings).items() if value is not None}
    if not chosen.get("hidden"):  # none at all: a linear classifier
        chosen["hidden"] = ()
    return _checked(Recipe().replace(**_meaning_something(chosen), **fixed))


def _meaning_something(settings: dict[str, Any]) -> dict[str, Any]:
    """Without what only hidden layers have, where there is none."""
    if settings["hidden"]:
        return settings
    of_hidden = ("activation", "dropout", "batch_norm", "layer_norm", "residual")
    return {name: value for name, value in settings.items() if name not in of_hidden}


def _checked(recipe: Recipe) -> Recipe:
    hidden = recipe.hidden or ()
    if len(hidden) > MOST_LAYERS or max(hidden, default=0) > MOST_UNITS:
        raise RecipeError(
            f"hidden: at most {MOST_LAYERS} layers of {MOST_UNITS} units are drawn here, but it is "
            f"{list(hidden)}; the command line trains any"
        )
    if recipe.optimizer not in OPTIMIZERS or recipe.schedule not in SCHEDULES:
        raise RecipeError(
            f"the playground has optimizers {', '.join(OPTIMIZERS)} and schedules "
            f"{', '.join(SCHEDULES)}, but this is {recipe.optimizer} with {recipe.schedule}"
        )
    if recipe.epochs > MOST_EPOCHS:
        raise RecipeError(f"epochs: at most {MOST_EPOCHS} here, but it is {recipe.epochs}")
    if recipe.lr == "auto":
        raise RecipeError("lr: the playground shows a rate that you choose; give a number")
    return recipe


def _require_room(recipes: list[Recipe], points: Points) -> None:
    weights = 0
    for recipe in recipes:
        widths = [points.x.shape[1], *(recipe.hidden or ()), len(points.classes)]
        weights += sum((a + 1) * b for a, b in itertools.pairwise(widths))
    if weights > _MOST_WEIGHTS:
        raise RecipeError(
            f"{len(recipes)} nets with {weights:,} weights together are more than a picture can "
            f"follow ({_MOST_WEIGHTS:,}): fewer lanes or units"
        )


def _mapping(wanted: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = wanted.get(name) or {}
    if not isinstance(value, Mapping):
        raise RecipeError(f"{name} must be a table of settings, but is {value!r:.60}")
    return dict(value)


def _only(given: Mapping[str, Any], known: Any, where: str) -> None:
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise RecipeError(f"{where}: there is no {name!r} here{hint}")


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where a recipe has tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
