"""The workloads A to F: data, net, batch, optimizer. One epoch of each is timed."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import steepest as sp


@dataclass(frozen=True, eq=False)
class Workload:
    """inputs: (N, n) uint8, to be divided by 255. targets: (N,) int64."""

    name: str
    inputs: NDArray[np.uint8]
    targets: NDArray[np.int64]
    widths: tuple[int, ...]
    activation: str
    batch_size: int
    lr: float
    momentum: float = 0.0

    @property
    def scaled(self) -> NDArray[np.float32]:
        return (self.inputs / 255).astype(np.float32)

    @property
    def flops(self) -> float:
        """Of one epoch: two for each weight and row forwards, four backwards, not to the inputs."""
        weights = [a * b for a, b in pairwise(self.widths)]
        return float(len(self.inputs)) * (6 * sum(weights) - 2 * weights[0])

    def first_weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """(out, in) and (out,) for each layer: PyTorch's default, the same for all contestants."""
        rng = np.random.default_rng(0)
        return [
            tuple(
                rng.uniform(-1, 1, shape).astype(np.float32) / np.sqrt(a, dtype=np.float32)
                for shape in ((b, a), (b,))
            )
            for a, b in pairwise(self.widths)
        ]  # type: ignore[misc]


def workloads() -> dict[str, Workload]:
    """A to E. F is A and E with 16 seeds. C and E: 20 pixels of a row, class > 4 as the label."""
    train = sp.load_data("fashion-mnist").train
    images = np.ascontiguousarray(train.inputs).reshape(-1, 784)
    labels = np.asarray(train.labels, dtype=np.int64)
    strip, upper = np.ascontiguousarray(images[:, 14 * 28 + 4 : 14 * 28 + 24]), labels // 5
    deep = (784, 512, 512, 10)
    return {
        w.name: w
        for w in (
            Workload("A", images, labels, (784, 100, 10), "tanh", 32, 0.1),
            Workload("B", images, labels, deep, "relu", 128, 0.05, 0.9),
            Workload("C", strip, upper, (20, 256, 256, 2), "relu", 256, 0.05, 0.9),
            Workload("D", images[:6000], labels[:6000], (784, 100, 10), "tanh", 1, 0.01),
            Workload("E", strip, upper, (20, 32, 32, 2), "relu", 32, 0.05, 0.9),
        )
    }
