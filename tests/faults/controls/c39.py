"""C39: rare classes drawn more often, by a sampler with replacement."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from faults.case import Case
from faults.data import blobs10, generator, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = blobs10(seed)
    rows.keep((rows.y > 4) | (torch.rand(len(rows.y)) < 0.25))
    weights = (1 / rows.y.bincount().float())[rows.y]
    draw = WeightedRandomSampler(weights, len(weights), generator=generator(seed))
    train = DataLoader(TensorDataset(rows.X, rows.y), 64, sampler=draw)
    model = mlp(20, 64, 64, 10)
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), train, loaders(rows, seed)[1], epochs=8
    )
