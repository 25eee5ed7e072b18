"""V06: SELU and alpha dropout, eight layers that normalise themselves."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import adam


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for into in (20, *[48] * 7):
        layer = nn.Linear(into, 48)
        nn.init.normal_(layer.weight, std=into**-0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.SELU(), nn.AlphaDropout(0.05)]
    model = nn.Sequential(*layers, nn.Linear(48, 10))
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(blobs10(seed), seed), epochs=6)
