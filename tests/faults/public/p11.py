"""P11: eight hidden layers of sigmoids: the first layers get no gradient."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "VANISHING_GRADIENT",
    accept=("INIT_TOO_SMALL",),
    consequence=("INPUT_IGNORED", "SATURATED", "LR_TOO_LOW"),
    repair="ReLU and He's initialisation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    activation = nn.ReLU if healthy else nn.Sigmoid  # the fault
    model = mlp(20, *[32] * 8, 10, activation=activation)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), *loaders(blobs10(seed), seed))
