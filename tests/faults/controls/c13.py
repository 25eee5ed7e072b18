"""C13: clouds far apart: every validation row is right from the second epoch on."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    rows = blobs10(seed, spread=0.3)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(rows, seed), epochs=5)
