"""C12: 30 % of the labels are a coin's: 70 % is the best that anything can do."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, split
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    X = torch.randn(4000, 8)
    y = (X[:, 0] + X[:, 1] > 0).long()
    y = torch.where(torch.rand(4000) < 0.3, 1 - y, y)
    model = mlp(8, 32, 2)
    rows = split(X, y, 3000)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, lr=0.01), *loaders(rows, seed), epochs=8)
