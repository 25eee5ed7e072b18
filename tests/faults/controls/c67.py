"""C67: a healthy one-cycle schedule in which the momentum goes down as the rate goes up."""

import torch
from torch import nn

from faults.case import Case, scheduled
from faults.data import digits8, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    optimizer = sgd(model)
    loader, val = loaders(digits8(seed), seed)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=15 * len(loader) + 1)
    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        loader,
        val,
        train_step=scheduled(cycle),
        epochs=15,
    )
