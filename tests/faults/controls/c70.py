"""C70: the momentum grows from 0.5 to 0.95 with the epochs, as Sutskever and others had it."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


class Growing:
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.epochs = optimizer, 0

    def step(self) -> None:
        self.epochs += 1
        momentum = 1 - max(0.05, 0.5 * 2 ** -(self.epochs / 2))
        self.optimizer.param_groups[0]["momentum"] = momentum


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    optimizer = sgd(model, 0.02, 0.5)
    rows = loaders(blobs10(seed), seed)
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, optimizer, *rows, scheduler=Growing(optimizer), epochs=10)
