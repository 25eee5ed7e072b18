"""C08: pixels from 0 to 1 whose border is always 0."""

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = digits8(seed)
    border = torch.ones(8, 8)
    border[1:-1, :] = 0
    inside = (1 - border).reshape(64)
    rows.X, rows.X_val = rows.X * inside, rows.X_val * inside
    model = mlp(64, 64, 64, 10)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed))
