"""Occlusion maps: which parts of an image a prediction rests on."""

import numpy as np
from numpy.typing import NDArray

from steepest.classifier.classifier import Classifier
from steepest.errors import DataError

# Squares are so many to a side, and half of one further each time.
_SQUARES = 7


def occlusion_map(
    classifier: Classifier, image: NDArray[np.generic], label: str | None = None
) -> NDArray[np.float64]:
    """How much of a class's probability goes where a square of an image is covered.

    A square of a seventh of the shorter side, filled with the mean of each channel, moves over the
    image by half its side; each pixel has the mean over the squares that cover it.

    Args:
        classifier: Of a run.
        image: One row as it came, (C, H, W) or (H, W).
        label: The name of the class; None for the one that is predicted.

    Returns:
        (H, W): the probability less that of the covered image, above 0 where what is covered speaks
        for the class.

    Raises:
        DataError: The row is no image, or there is no such class.

    Source:
        Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
    """
    if image.ndim not in (2, 3):
        raise DataError(f"a row of shape {image.shape} is no image: (C, H, W) or (H, W) is needed")
    names = classifier.classes.names
    if label is not None and label not in names:
        raise DataError(f"there is no class {label!r}; the classes are {', '.join(names[:10])}")
    height, width = image.shape[-2:]
    side = max(1, min(height, width) // _SQUARES)
    squares = [(top, left) for top in _starts(height, side) for left in _starts(width, side)]
    mean = image.mean(axis=(-2, -1), keepdims=True).astype(image.dtype)
    rows = np.repeat(image[None], len(squares) + 1, axis=0)
    for row, (top, left) in zip(rows[1:], squares, strict=True):
        row[..., top : top + side, left : left + side] = mean
    probabilities = classifier.predict_proba(rows)
    of = int(probabilities[0].argmax()) if label is None else names.index(label)
    sums, counts = np.zeros((height, width)), np.zeros((height, width))
    for (top, left), p in zip(squares, probabilities[1:, of], strict=True):
        inside = np.s_[top : top + side, left : left + side]
        sums[inside] += probabilities[0, of] - p
        counts[inside] += 1
    return sums / counts


def _starts(length: int, side: int) -> list[int]:
    """Where the squares begin along one side, the last one at its end."""
    last = length - side
    return sorted({*range(0, last + 1, max(1, side // 2)), last})
