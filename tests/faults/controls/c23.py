"""C23: log_softmax before CrossEntropyLoss: it does nothing the second time."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(*mlp(20, 64, 64, 10), nn.LogSoftmax(dim=1))
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(blobs10(seed), seed))
