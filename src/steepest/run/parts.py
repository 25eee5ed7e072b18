"""The parts of the data that a recipe names."""

from typing import Any

from steepest.data import Dataset, load_data, not_one_hot, split
from steepest.errors import RecipeError, TargetError
from steepest.recipe import Recipe


def load_parts(data: Any, recipe: Recipe) -> Dataset:
    """The parts that a recipe makes of data (None: of recipe.data), neither encoded nor scaled."""
    return split_by(load_whole(data, recipe), recipe)


def load_whole(data: Any, recipe: Recipe) -> Dataset:
    """What a recipe names, read; no part is taken of it yet but those that lie in files."""
    source = recipe.data if data is None else data
    if source is None:
        raise RecipeError("no data: pass them, or name them in the recipe: data = 'file.csv'")
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
