"""The parts of the data that a recipe names: when a run is trained, and when it is read again."""

import math
from typing import Any

from steepest.classifier import Classifier, Score
from steepest.data import Dataset, Samples, load_data, not_one_hot, split
from steepest.engine import seeded
from steepest.errors import RecipeError, RunError, SteepestError, TargetError
from steepest.recipe import Recipe

# Scores of the same rows by the same weights differ by rounding: of engines, threads, machines.
_ROUNDING = {"rel_tol": 1e-4, "abs_tol": 1e-5}


def load_parts(data: Any, recipe: Recipe) -> Dataset:
    """The parts that a recipe makes of data (None: of recipe.data), neither encoded nor scaled."""
    return split_by(load_whole(data, recipe), recipe)


def load_whole(data: Any, recipe: Recipe) -> Dataset:
    """What a recipe names, read; no part is taken of it yet but those that lie in files."""
    source = recipe.data if data is None else data
    if source is None:
        raise RecipeError(
            "no data: pass them, or name them in the recipe: data = 'file.csv'", settings=("data",)
        )
    dataset = load_data(
        source,
        target=recipe.target,
        validation=recipe.validation if isinstance(recipe.validation, str) else None,
        test=recipe.test if isinstance(recipe.test, str) else None,
        ignore=recipe.ignore,
        image_size=recipe.image_size,
    )
    labels = dataset.train.labels
    if recipe.task != "multilabel" and labels is not None and labels.ndim == 2:
        row = not_one_hot(labels)
        raise TargetError(
            f"{dataset.train.source}: labels of shape {labels.shape} must be one-hot rows, with "
            f"one 1 and else 0, but row {row} is {labels[row].tolist()}; if rows may have several "
            "classes or none, set task to 'multilabel'"
        )
    return dataset


def split_by(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The parts of it by the recipe's shares."""
    return split(
        dataset,
        validation=0.0 if isinstance(recipe.validation, str) else recipe.validation,
        test=0.0 if isinstance(recipe.test, str) else recipe.test,
        seed=recipe.seed,
    )


def parts_of_run(
    recipe: Recipe, classifier: Classifier, scores: dict[str, Score], step: int
) -> Dataset:
    """The parts of a run whose rows are not in memory, read again from where its recipe says.

    Args:
        recipe: Of the run.
        classifier: Of the run, with the weights that its scores were measured at.
        scores: What it measured, by part.
        step: How many steps it took.

    Raises:
        RunError: It names no data, they cannot be read, or they are not those that it was scored
            on: a part has another number of rows, or another loss.
    """
    if recipe.data is None:
        raise RunError("the run was not trained on a file or a name")
    try:
        dataset = load_parts(None, recipe)
        for name, part in (("test", dataset.test), ("validation", dataset.validation)):
            if part is not None:
                _require_alike(name, part, recipe, classifier, scores.get(name), step)
    except RunError:
        raise
    except SteepestError as error:
        raise RunError(f"the data cannot be read again: {error}") from None
    return dataset


def _require_alike(
    name: str,
    part: Samples,
    recipe: Recipe,
    classifier: Classifier,
    then: Score | None,
    step: int,
) -> None:
    """Raise RunError unless a part gives the score that the run has of it."""
    if then is None:
        raise RunError(f"the run has no score of its {name} part to compare the rows with")
    changed = f"the file has changed since the run ({recipe.data}): its {name} part"
    other_rows = f"{changed} had {then.rows} rows, and has {len(part)}"
    if len(part) < then.rows:
        raise RunError(other_rows)
    # Of a run that was cut short some rows were scored, evenly spread.
    with seeded(classifier.model, recipe.seed, step):
        now = classifier.measure(*classifier.prepare(part).some(then.rows))
    if not (math.isclose(now.loss, then.loss, **_ROUNDING) or math.isnan(now.loss + then.loss)):
        if len(part) > then.rows:
            raise RunError(other_rows)
        raise RunError(f"{changed} had a loss of {then.loss:.6g}, and has {now.loss:.6g}")
