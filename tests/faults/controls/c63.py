"""C63: warm restarts of a cosine: the loss goes up at each of them, and comes down lower."""

import torch
from torch import nn

from faults.case import Case, scheduled
from faults.data import images8, loaders
from faults.nets import conv_net, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    optimizer = sgd(model, 0.1)
    loader, val = loaders(images8(seed), seed)
    cycles = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4 * len(loader))
    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        loader,
        val,
        train_step=scheduled(cycles),
        epochs=16,
    )
