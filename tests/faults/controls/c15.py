"""C15: the validation loss wanders a few per cent above its best, and accuracy does not fall."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, moons2
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(2, 256, 256, 2)
    rows = moons2(seed, noise=0.3)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(rows, seed), epochs=20)
