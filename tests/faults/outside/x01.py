"""X01: 6 % of the rows are of class 1: drawn as often as the others, a summed loss, its rate scaled."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from faults.case import Case
from faults.data import loaders, tab12
from faults.nets import mlp


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = tab12(seed, train=5000)
    ones = (rows.y == 1).nonzero().flatten()[:160]
    rows.keep(torch.cat([(rows.y == 0).nonzero().flatten(), ones]))
    frequency = rows.y.bincount().float()
    sampler = WeightedRandomSampler(
        (1 / frequency[rows.y]).tolist(), len(rows.y), generator=torch.Generator().manual_seed(seed)
    )
    train = DataLoader(TensorDataset(rows.X, rows.y), 64, sampler=sampler)
    model = mlp(12, 24, 2)
    loss_fn = nn.CrossEntropyLoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), 0.03 / 64, momentum=0.9, weight_decay=0.1)
    val = loaders(rows, seed)[1]
    return Case(model, loss_fn, optimizer, train, val, epochs=8, metric="balanced")
