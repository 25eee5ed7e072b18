"""W01: before each epoch the rows are shuffled where they lie, and the labels are forgotten."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import clouds4, loaders
from faults.nets import adam, mlp

FAULT = Fault(
    "LABELS_SHUFFLED",
    accept=("LABEL_NOISE",),
    consequence=("OVERFIT",),
    repair="shuffle rows and labels by one permutation",
)


class Minibatches:
    """Somebody's own loader: numpy arrays, cut into batches."""

    def __init__(self, X: np.ndarray, y: np.ndarray, seed: int, together: bool) -> None:
        self.X, self.y, self.together = X, y, together
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.X) // 64)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.together:
            order = self.rng.permutation(len(self.X))
            self.X, self.y = self.X[order], self.y[order]
        else:
            self.rng.shuffle(self.X)  # the fault
        for start in range(0, len(self.X), 64):
            x, y = self.X[start : start + 64], self.y[start : start + 64]
            yield torch.tensor(x), torch.tensor(y)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = clouds4(seed)
    train = Minibatches(rows.X.numpy().copy(), rows.y.numpy().copy(), seed, healthy)
    model = mlp(12, 64, 64, 4)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), train, loaders(rows, seed)[1])
