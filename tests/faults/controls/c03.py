"""C03: five hidden layers of PyTorch's own initialisation: activations shrink, and it learns."""

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, *[64] * 5, 10)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(digits8(seed), seed))
