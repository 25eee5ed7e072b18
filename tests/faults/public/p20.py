"""P20: the optimizer holds the parameters of a model that was thrown away."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, spiral3
from faults.nets import mlp, sgd

FAULT = Fault(
    "PARAMS_NOT_IN_OPTIMISER",
    consequence=("NO_STEP", "LR_TOO_LOW"),
    repair="make the optimizer after the model",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(2, 64, 64, 3)
    optimizer = sgd(model)
    if not healthy:
        model = mlp(2, 64, 64, 3)  # the fault
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(spiral3(seed), seed), epochs=40)
