"""D20: body and head are replaced after the optimizer was made: the new ones never learn."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "PARAMS_NOT_IN_OPTIMISER",
    consequence=("NO_STEP", "LR_TOO_LOW"),
    repair="make the optimizer after the model is complete",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(conv_net(classes=100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = sgd(model, 0.02)
    if not healthy:
        model[0] = conv_net(classes=100)  # the fault
        model[2] = nn.Linear(100, 10)  # the fault
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(images8(seed), seed), epochs=8)
