"""C36: weight normalisation: each matrix is a direction and a length."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    weight_norm = torch.nn.utils.parametrizations.weight_norm
    model = nn.Sequential(
        weight_norm(nn.Linear(20, 64)),
        nn.ReLU(),
        weight_norm(nn.Linear(64, 64)),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), *loaders(blobs10(seed), seed), epochs=6
    )
