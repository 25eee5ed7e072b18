"""C11: 92 rows of class 0 to 8 of class 1, and the net learns both."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, split
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    y = (torch.rand(4000) < 0.08).long()
    X = torch.randn(4000, 10) + 2.5 * y[:, None] * torch.randn(10).sign() * 0.7
    model = mlp(10, 64, 64, 2)
    rows = split(X, y, 3000)
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, 0.02), *loaders(rows, seed), 5, metric="balanced"
    )
