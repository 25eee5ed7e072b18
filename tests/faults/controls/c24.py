"""C24: label smoothing, which has a floor of its own, and classes weighed by 1 / frequency."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = blobs10(seed)
    rows.keep((rows.y > 2) | (torch.rand(len(rows.y)) < 0.4))
    counts = rows.y.bincount().float()
    loss = nn.CrossEntropyLoss(weight=counts.mean() / counts, label_smoothing=0.1)
    model = mlp(20, 64, 64, 10)
    return Case(model, loss, sgd(model), *loaders(rows, seed))
