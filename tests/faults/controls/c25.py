"""C25: all 300 mixed rows in one batch, in the same order each time."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, moons2
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = moons2(seed, train=300)
    model = mlp(2, 64, 64, 2)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model),
        *loaders(rows, seed, batch=300, shuffle=False),
        epochs=150,
    )
