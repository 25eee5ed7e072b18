"""Rows on which an exported file is compared with the classifier that it was made of."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.classifier import Classifier
from steepest.data import Column, Preprocessing, Samples, TableEncoder
from steepest.engine import forward, input_dtype
from steepest.errors import ModelError
from steepest.export.columns import inputs_of, missing_word, parts_of

# Of the probabilities. Both sides compute the net in float32, in different orders; with images the
# sums are longer, and there are more layers.
_LARGEST_DIFFERENCE, _OF_IMAGES = 1e-6, 1e-5
_ROWS = 200
_SECONDS: dict[str, pl.DataType] = {
    "date": pl.Datetime("us"),
    "time": pl.Time(),
    "duration": pl.Duration("us"),
}


def rows_to_compare(preprocessing: Preprocessing, train: Samples | None) -> Iterator[Samples]:
    """Made rows: of numbers around those of the training, all words, unknown and missing ones.

    Then training rows, evenly spread, if there are any. The made ones are the same every time.
    """
    random = np.random.default_rng(0)
    encoder = preprocessing.encoder
    if encoder is not None:
        frame = pl.DataFrame([_column(encoder, column, random) for column in encoder.columns])
        yield Samples(frame, None, "made rows")
    else:
        yield Samples(_matrix(preprocessing, random), None, "made rows")
    if train is not None and len(train):
        some = np.unique(np.linspace(0, len(train) - 1, _ROWS).astype(np.int64))
        yield _as_given(train.take(some), preprocessing)


def require_same(
    classifier: Classifier, samples: Samples, found: NDArray[Any], where: str
) -> float:
    """The largest difference between these probabilities and the classifier's.

    Raises ModelError where it is too large.
    """
    expected = probabilities(classifier, samples)
    differences = np.abs(np.asarray(found, dtype=np.float64) - expected).max(axis=1)
    worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    allowed = _LARGEST_DIFFERENCE if len(classifier.preprocessing.shape) == 1 else _OF_IMAGES
    if not differences[worst] <= allowed:
        raise ModelError(
            f"the exported net gives other probabilities in {where} than here: they differ by "
            f"{differences[worst]:.2g} in row {worst} of {samples.source}, and at most "
            f"{allowed:g} is allowed; nothing was written"
        )
    return float(differences[worst])


def probabilities(classifier: Classifier, samples: Samples) -> NDArray[np.float64]:
    """As `Classifier.predict_proba` gives them, without notes on words that were made up."""
    prepared = classifier.preprocessing.prepare(samples, input_dtype(classifier.model))
    outputs = forward(classifier.model, prepared)
    found: NDArray[np.float64] = classifier.objective.probabilities(outputs).numpy()
    return found


def _as_given(samples: Samples, preprocessing: Preprocessing) -> Samples:
    """The rows alone, an array in the type that the file takes."""
    rows = samples.inputs if samples.rows is None else samples.inputs[samples.rows]
    if isinstance(rows, np.ndarray):
        rows = np.ascontiguousarray(rows, dtype=inputs_of(preprocessing)[0].dtype)
    return Samples(rows, None, samples.source)


def _column(encoder: TableEncoder, column: Column, random: np.random.Generator) -> pl.Series:
    """Values of one column of a table, with gaps."""
    gaps = random.random(_ROWS) < 0.1
    if column.kind == "words":
        known = [*column.levels, f"{column.levels[0]}, which training never saw"]
        words = [known[i] for i in random.integers(len(known), size=_ROWS)]
        if missing_word(column) is not None:
            words = [None if gap else word for word, gap in zip(words, gaps, strict=True)]
        return pl.Series(column.name, words, dtype=pl.String)
    if column.kind == "boolean":
        truth = pl.Series(column.name, random.random(_ROWS) < 0.5)
        return truth.set(pl.Series(gaps), None)
    place = [c.name for c in encoder.columns if c.kind == "number"].index(column.name)
    factor = float(encoder.scaler.factor[place] if encoder.scaler.factor.ndim else 1.0)
    spread = 1 / factor if factor else 1.0
    values = column.mean + spread * random.standard_normal(_ROWS) * 2
    kind = _SECONDS.get(column.quantity)
    series = pl.Series(column.name, values)
    if kind is not None:
        per_second = 1e9 if kind == pl.Time else 1e6
        ticks = np.round(values * per_second)
        ticks = ticks % 86_400e9 if kind == pl.Time else ticks
        series = pl.Series(column.name, ticks.astype(np.int64)).cast(kind)
    return series.set(pl.Series(gaps), None)


def _matrix(preprocessing: Preprocessing, random: np.random.Generator) -> NDArray[Any]:
    """Rows of an array, around what the scaler and the quantiles know."""
    given, first = inputs_of(preprocessing)[0], parts_of(preprocessing)[0]
    if preprocessing.integers:  # look-ups: 0 and 1 are in every one
        return random.integers(0, 2, (_ROWS, *given.shape))
    normal = random.standard_normal((_ROWS, *given.shape))
    if first.numeric is not None and first.numeric.knots:
        knots = first.numeric.knots
        low, high = (np.array([own[i] for own in knots]) for i in (0, -1))
        around: NDArray[np.float64] = (low + high) / 2 + (high - low) * normal / 2
        return around
    factor = np.where(first.scaler.factor == 0, 1.0, first.scaler.factor)
    values: NDArray[Any] = (first.scaler.offset + normal / factor).astype(given.dtype)
    return values
