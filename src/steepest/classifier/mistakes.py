"""The wrong predictions of which a classifier was surest, and their rows as one looks at them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.classifier.classifier import Classifier
from steepest.errors import TargetError

_MOST_COLUMNS = 6


@dataclass(frozen=True, eq=False)
class Mistake:
    """A row that was classified wrongly.

    Args:
        row: Its number among the rows that were looked at, from 0.
        true: The name of its class.
        predicted: The name of the class that was predicted.
        probability: What was given to the predicted class, the confidence.
        true_probability: What was given to the true one.
        inputs: The row as it came: an array, or a dictionary of its columns.
    """

    row: int
    true: str
    predicted: str
    probability: float
    true_probability: float
    inputs: NDArray[Any] | dict[str, Any]


def most_confident_mistakes(
    classifier: Classifier, samples: Any, *, count: int = 12, target: str | None = None
) -> list[Mistake]:
    """The wrong predictions with the highest probability, the worst first.

    Args:
        classifier: Of a run.
        samples: Labelled rows, as `Classifier.evaluate` takes them.
        count: How many at most.
        target: The column of the class, by default the one trained on.

    Returns:
        The mistakes.

    Raises:
        TargetError: A row may have several classes, where there is no one prediction.
    """
    if classifier.classes.multilabel:
        raise TargetError("rows with several classes have no one wrong prediction")
    samples = classifier.read(samples, target=target, labelled=True)
    targets = classifier.targets(samples)
    probabilities = classifier.predict_proba(samples)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != targets)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    names = classifier.classes.names
    return [
        Mistake(
            row=int(i),
            true=names[targets[i]],
            predicted=names[predicted[i]],
            probability=float(confidence[i]),
            true_probability=float(probabilities[i, targets[i]]),
            inputs=_row(samples.inputs, int(i if samples.rows is None else samples.rows[i])),
        )
        for i in worst
    ]


def picture(inputs: NDArray[Any] | dict[str, Any]) -> NDArray[np.float64] | None:
    """A row as an image, (H, W) or (H, W, 3) in [0, 1]; None if it is none.

    Images are (H, W), (1, H, W) or (3, H, W) with at least 4 pixels a side.
    """
    if isinstance(inputs, dict) or inputs.ndim not in (2, 3) or min(inputs.shape[-2:]) < 4:
        return None
    x = inputs.astype(np.float64)
    if x.ndim == 3:
        if x.shape[0] not in (1, 3):
            return None
        x = x[0] if x.shape[0] == 1 else x.transpose(1, 2, 0)
    low, high = (0.0, 255.0) if inputs.dtype == np.uint8 else (float(x.min()), float(x.max()))
    return np.clip((x - low) / ((high - low) or 1.0), 0.0, 1.0)


def columns_of(inputs: NDArray[Any] | dict[str, Any]) -> dict[str, str]:
    """The first columns of a row, by name, as they are shown."""
    if not isinstance(inputs, dict):
        inputs = {f"x{i}": value for i, value in enumerate(inputs.reshape(-1)[:_MOST_COLUMNS])}
    return {name: _shown(value) for name, value in list(inputs.items())[:_MOST_COLUMNS]}


def _row(inputs: NDArray[Any] | pl.DataFrame, i: int) -> NDArray[Any] | dict[str, Any]:
    return inputs.row(i, named=True) if isinstance(inputs, pl.DataFrame) else np.array(inputs[i])


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
