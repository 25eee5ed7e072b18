"""P10: a bias that no row can lift above 0: the first layer is dead."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "DEAD_RELU",
    consequence=("INPUT_IGNORED", "VANISHING_GRADIENT", "INIT_TOO_SMALL"),
    repair="biases that start at 0, He's initialisation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    if not healthy:
        nn.init.constant_(model[0].bias, -20)  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(blobs10(seed), seed))
