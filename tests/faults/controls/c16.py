"""C16: dropout of a half and batch normalisation, batches of 32."""

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)
    )
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaders(digits8(seed), seed, batch=32)
    )
