"""P08: every weight and bias starts at 0."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "SYMMETRIC_INIT",
    consequence=("VANISHING_GRADIENT", "INPUT_IGNORED", "INIT_TOO_SMALL", "DEAD_RELU"),
    repair="He's initialisation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    if not healthy:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(digits8(seed), seed))
