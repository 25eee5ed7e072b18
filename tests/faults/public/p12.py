"""P12: four linear layers with nothing between them are one linear layer."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, spiral3
from faults.nets import mlp, sgd

FAULT = Fault(
    "NO_NONLINEARITY",
    consequence=("CAPACITY_TOO_LOW",),
    repair="an activation after each hidden layer",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    activation = nn.ReLU if healthy else nn.Identity  # the fault
    model = mlp(2, 64, 64, 64, 3, activation=activation)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(spiral3(seed), seed), epochs=40)
