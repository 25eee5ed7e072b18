"""What all train: the rows, and the learning rates of many runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import steepest as sp


@dataclass(frozen=True)
class Task:
    """2,000 rows of 20 numbers to train on and 200 to measure, two classes."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.int64]
    held_out: NDArray[np.float32]
    their_targets: NDArray[np.int64]

    def rates(self, count: int) -> NDArray[np.float64]:
        """Learning rates, evenly spread by their logarithms."""
        return np.geomspace(0.01, 0.1, max(1, count))

    def for_steepest(self) -> Any:
        """The same as a Dataset with its parts."""
        train = sp.Samples(self.inputs, self.targets, "train")
        return sp.Dataset(train, sp.Samples(self.held_out, self.their_targets, "validation"))


def task() -> Task:
    """Rows like workload E's, drawn."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2200, 20)).astype(np.float32)
    hidden = np.tanh(inputs @ rng.normal(size=(20, 8)))
    targets = (hidden @ rng.normal(size=8) > 0).astype(np.int64)
    return Task(inputs[:2000], targets[:2000], inputs[2000:], targets[2000:])
