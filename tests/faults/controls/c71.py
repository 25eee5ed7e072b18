"""C71: Adam's rate is restarted a hundred times as high; the loss jumps up and comes back."""

import torch
from torch import nn

from faults.case import Case, scheduled
from faults.data import blobs10, loaders
from faults.nets import adam, mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    optimizer = adam(model, 0.02)
    loader, val = loaders(blobs10(seed), seed)
    cycles = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, 3 * len(loader), 2, eta_min=2e-4
    )
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, optimizer, loader, val, train_step=scheduled(cycles), epochs=21)
