"""C64: a rate that goes up and down as a triangle, ten times as high at its top, Smith's CLR."""

import torch
from torch import nn

from faults.case import Case, scheduled
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    optimizer = sgd(model, 0.01)
    cycles = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=130)
    rows = loaders(blobs10(seed), seed)
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, optimizer, *rows, train_step=scheduled(cycles), epochs=12)
