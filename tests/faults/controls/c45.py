"""C45: a loader that is a stream: no length, no index."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from faults.case import Case
from faults.data import Rows, generator, loaders, moons2
from faults.nets import mlp, sgd


class Stream(IterableDataset[Any]):
    def __init__(self, rows: Rows, seed: int) -> None:
        self.rows, self.order = rows, generator(seed)

    def __iter__(self) -> Iterator[Any]:
        for i in torch.randperm(len(self.rows.y), generator=self.order).tolist():
            yield self.rows.X[i], self.rows.y[i]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = moons2(seed)
    model = mlp(2, 64, 64, 2)
    train = DataLoader(Stream(rows, seed), 64)
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), train, loaders(rows, seed)[1], epochs=6
    )
