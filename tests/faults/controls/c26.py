"""C26: three binary columns: equal rows in both parts are no leak."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, split
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    X = (torch.rand(1200, 3) < 0.5).float()
    odds = 3 * X[:, 0] - 2 * X[:, 1] + 2 * X[:, 0] * X[:, 2] - 1
    y = torch.bernoulli(torch.sigmoid(2 * odds)).long()
    model = mlp(3, 16, 2)
    rows = split(X, y, 900)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), *loaders(rows, seed))
