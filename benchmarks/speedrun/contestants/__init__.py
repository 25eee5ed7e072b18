"""Who takes part. A contestant is a function (entry, sizes, threads) -> train.

It is told the sizes of the data, and may compile before it returns. train(images, labels, seed) ->
predict: images (N, H, W) of bytes, labels (N,) from 0 on; predict takes images of the same size and
gives their classes. All between the call of train and its return is on the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contenders import Contenders
from speedrun.goals import Entry

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Predict = Callable[[Images], Labels]
Train = Callable[[Images, Labels, int], Predict]


@dataclass(frozen=True)
class Sizes:
    """What is known of the data before the clock starts.

    Attributes:
        rows: Training images.
        image: Height and width.
        classes: Distinct labels.
    """

    rows: int
    image: tuple[int, int]
    classes: int

    def rehearsal(self, rows: int) -> tuple[Images, Labels]:
        """So many images of random pixels, with every class where there is room for them."""
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (rows, *self.image), np.uint8)
        return images, np.arange(rows)[::-1] % self.classes


Contestant = Callable[[Entry, Sizes, int], Train]

# Name -> where it is, and the package whose version is recorded.
CONTESTANTS = {
    "steepest": ("speedrun.contestants.ours:steepest", "steepest"),
    "torch": ("speedrun.contestants.torch_loop:eager", "torch"),
    "torch-compiled": ("speedrun.contestants.torch_loop:compiled", "torch"),
    "jax": ("speedrun.contestants.jax_scan:jax_scan", "jax"),
}

_CONTENDERS = Contenders("contestant", CONTESTANTS)
absence, version_of = _CONTENDERS.absence, _CONTENDERS.version


def find_contestant(name: str) -> Contestant:
    """`Contenders.find`, of these."""
    found: Contestant = _CONTENDERS.find(name)
    return found
