"""C04: He's initialisation in the last layer too: the first loss is near log C + 1."""

import torch
from torch import nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), *loaders(blobs10(seed), seed))
