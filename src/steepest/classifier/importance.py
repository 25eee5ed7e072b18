"""Permutation importance: how much worse a classifier does when one column is shuffled."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data import Samples
from steepest.errors import DataError
from steepest.random import Purpose, permutation

if TYPE_CHECKING:
    from steepest.classifier.classifier import Classifier, Score

# The means over so many rows are close enough, and a table of many columns is done in seconds.
_MOST_ROWS = 2_000


def permutation_importance(
    classifier: "Classifier", samples: Samples, *, repeats: int = 5, seed: int = 0
) -> pl.DataFrame:
    """How much each column matters to the predictions for these rows.

    Columns that say the same share their importance: each can stand in for the others. Rows that
    were not trained on tell what helps; those of the training also what was learned by heart.

    Args:
        classifier: A trained one.
        samples: Labelled rows of a table or matrix; at most 2,000, evenly spread, are looked at.
        repeats: How often each column is shuffled.
        seed: Decides the orders.

    Returns:
        A frame with a row for each column, the most important first: column; importance, the mean
        rise of the log loss in nats; std, over the repeats; accuracy_drop, the mean.

    Raises:
        DataError: The rows have no columns: they are pictures, for example.
        TargetError: There are no labels.

    Source:
        Breiman, "Random forests", Machine Learning 45, 2001, section 10; Fisher, Rudin and
        Dominici, JMLR 20 (177), 2019.
    """
    rows = _some(samples)
    names = _columns(rows)
    before = _score(classifier, rows)
    found = []
    for j, name in enumerate(names):
        scores = [
            _score(
                classifier,
                _shuffled(rows, j, permutation(len(rows), seed, Purpose.IMPORTANCE, k, stream=j)),
            )
            for k in range(repeats)
        ]
        rises = np.array([score.loss - before.loss for score in scores])
        drops = [before.accuracy - score.accuracy for score in scores]
        found.append((name, float(rises.mean()), float(rises.std()), float(np.mean(drops))))
    schema = {
        "column": pl.String,
        "importance": pl.Float64,
        "std": pl.Float64,
        "accuracy_drop": pl.Float64,
    }
    return pl.DataFrame(found, schema, orient="row").sort("importance", descending=True)


def _some(samples: Samples) -> Samples:
    """Some of the rows, gathered: their place among others does not matter any more."""
    count = min(len(samples), _MOST_ROWS)
    chosen = samples.take(np.linspace(0, len(samples) - 1, count).astype(np.int64))
    assert chosen.rows is not None
    text = None if chosen.text is None else chosen.text[chosen.rows]
    return replace(chosen, inputs=chosen.inputs[chosen.rows], rows=None, text=text)


def _columns(samples: Samples) -> list[str]:
    inputs = samples.inputs
    if isinstance(inputs, pl.DataFrame):
        return inputs.columns
    if inputs.ndim != 2:
        raise DataError(
            f"{samples.source}: rows of shape {inputs.shape[1:]} have no columns whose importance "
            "could be measured"
        )
    return list(samples.columns or map(str, range(inputs.shape[1])))


def _shuffled(samples: Samples, j: int, order: NDArray[np.int64]) -> Samples:
    inputs, text = samples.inputs, samples.text
    if isinstance(inputs, pl.DataFrame):
        name = inputs.columns[j]
        if text is not None and name in text.columns:
            text = text.with_columns(text[name].gather(order))
        return replace(samples, inputs=inputs.with_columns(inputs[name].gather(order)), text=text)
    changed = np.array(inputs)
    changed[:, j] = changed[order, j]
    return replace(samples, inputs=changed)


def _score(classifier: "Classifier", samples: Samples) -> "Score":
    return classifier.measure(*classifier.prepare(samples))
