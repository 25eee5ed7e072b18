"""C17: Adam: the first updates are large beside the weights."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(blobs10(seed), seed))
