"""C19: the learning rate falls to 0 along a cosine."""

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    optimizer = sgd(model, lr=0.05)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=15)
    rows = digits8(seed)
    return Case(
        model, nn.CrossEntropyLoss(), optimizer, *loaders(rows, seed), epochs=15, scheduler=cosine
    )
