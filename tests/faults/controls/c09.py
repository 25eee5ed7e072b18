"""C09: counts of 200 rare words: 95 % of the inputs are 0."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, split
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    y = torch.randint(4, (2500,))
    rates = 0.05 * torch.rand(4, 200).mul(4).exp() / torch.rand(4, 200).mul(4).exp().mean()
    X = torch.poisson(rates[y])
    model = mlp(200, 64, 64, 4)
    rows = split(X, y, 2000)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed), epochs=4)
