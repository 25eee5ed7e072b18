"""Cross-validation: each row is predicted by a training that has not seen it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import nn

from steepest.data import Dataset
from steepest.ensemble import train
from steepest.ensemble.folds import fold_of_rows
from steepest.errors import DataError
from steepest.recipe import Recipe
from steepest.run import load_parts


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What came of the folds.

    Attributes:
        scores: A row for each fold: fold, rows, loss, accuracy, seconds.
        classes: What the classes are called.
        probabilities: (N, C) of each row of the training part, by the net that has not seen it.
    """

    scores: pl.DataFrame
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]

    @property
    def loss(self) -> float:
        """The mean cross entropy over the rows, in nats."""
        return self._mean("loss")

    @property
    def accuracy(self) -> float:
        """The share of rows that were predicted rightly."""
        return self._mean("accuracy")

    def _mean(self, name: str) -> float:
        return float(np.average(self.scores[name], weights=self.scores["rows"]))

    def __repr__(self) -> str:
        spread = {name: float(self.scores[name].to_numpy().std()) for name in ("loss", "accuracy")}
        return (
            f"<CrossValidation of {self.scores.height} folds: loss {self.loss:.4f} "
            f"(± {spread['loss']:.4f} between folds), accuracy {self.accuracy:.4f} "
            f"(± {spread['accuracy']:.4f})>"
        )


def cross_validate(
    model: nn.Module | None = None,
    data: Any = None,
    recipe: Recipe | None = None,
    *,
    folds: int = 5,
    on_fold: Callable[[int, Any], None] | None = None,
    **settings: Any,
) -> CrossValidation:
    """Train once for each fold of the training rows, on all others, and measure on the fold.

    Args:
        model: As for `train`; each fold begins with a copy of it.
        data: As for `train`; parts other than the training part are not looked at.
        recipe: As for `train`. A validation share is taken from the rows that are trained on.
        folds: How many, 2 or more; each class is spread evenly over them.
        on_fold: Called after each fold with its number and its `Run`.
        **settings: As for `train`.

    Returns:
        The scores of the folds, and the probabilities of each row.

    Raises:
        DataError: There are fewer rows than folds, or a class is missing from a training.
        SteepestError: Something does not fit; before any work.
    """
    asked = Recipe.of(recipe, settings)
    whole = load_parts(data, asked.replace(validation=0.0, test=0.0)).train
    if whole.labels is None or not 2 <= folds <= len(whole):
        raise DataError(f"{whole.source}: {folds} folds of {len(whole)} rows cannot be made")
    _, classes = np.unique(whole.labels, axis=0, return_inverse=True)
    fold_of = fold_of_rows(classes.reshape(-1).astype(np.int64), folds, asked.seed)
    asked = asked.replace(data=None, test=0.0)
    rows: list[tuple[int, int, float, float, float]] = []
    found: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    names: tuple[str, ...] = ()
    for k in range(folds):
        held_out = np.flatnonzero(fold_of == k)
        run = train(
            copy.deepcopy(model),
            Dataset(whole.take(np.flatnonzero(fold_of != k))),
            asked,
            progress="none",
        )
        part = whole.take(held_out)
        score = run.classifier.measure(*run.classifier.prepare(part))
        names = run.classifier.classes.names
        found.append((held_out, run.classifier.predict_proba(part)))
        rows.append((k, score.rows, score.loss, score.accuracy, run.info["seconds"]))
        if on_fold is not None:
            on_fold(k, run)
    probabilities = np.empty((len(whole), len(names)))
    for held_out, predicted in found:
        probabilities[held_out] = predicted
    schema = ["fold", "rows", "loss", "accuracy", "seconds"]
    return CrossValidation(pl.DataFrame(rows, schema, orient="row"), names, probabilities)
