"""Points and places of the picture, as the nets of some lanes take them."""

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from steepest.board.playground.points import Points
from steepest.data import Inputs
from steepest.training.preparation import Preparation

# Places along each axis of the picture: of one net, of the mean of several, of a unit, of each net
# of several; and along the axis of points on a line, always.
ALONG, ALONG_MEAN, ALONG_UNIT, ALONG_SMALL, ALONG_LINE = 72, 36, 28, 18, 240
_MARGIN = 0.12

Axes = tuple[NDArray[np.float64], ...]


class View:
    """What lanes of one preprocessing look at.

    Args:
        prepared: Of one of these lanes.
        points: All of them, of training and validation.
    """

    def __init__(self, prepared: Preparation, points: Points) -> None:
        self.prepared = prepared
        self.parts = {
            name: (_tensor_of(part.inputs), torch.from_numpy(part.targets))
            for name, part in prepared.parts.items()
        }
        self._points = points
        self._grids: dict[int, tuple[Axes, torch.Tensor]] = {}

    def grid(self, along: int) -> tuple[Axes, torch.Tensor]:
        """Places of the picture, `along` of them on each of two axes, ALONG_LINE on a single one.

        Returns:
            The coordinates on each axis, and the places as a net takes them, (G, inputs), row by
            row from the lowest second coordinate.
        """
        x = self._points.x
        along = along if x.shape[1] == 2 else ALONG_LINE
        if along not in self._grids:
            axes = tuple(_span(x[:, i], along) for i in range(x.shape[1]))
            places = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(axes))
            columns = {name: places[:, i] for i, name in enumerate(self._points.columns)}
            classifier = self.prepared.classifier
            inputs = classifier.preprocessing.prepare(classifier.read(pl.DataFrame(columns)))
            self._grids[along] = axes, _tensor_of(inputs)
        return self._grids[along]


def _tensor_of(inputs: Inputs) -> torch.Tensor:
    """All rows as a net takes them, (N, inputs)."""
    return torch.from_numpy(np.ascontiguousarray(inputs.block(0, len(inputs))))


def _span(values: NDArray[np.float64], along: int) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, along)
