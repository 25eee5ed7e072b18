"""P15: a ReLU on the logits.

Adjusted on admission: half the base recipe's rate, at which the twin's end is steady.
"""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "OUTPUT_ACTIVATION",
    consequence=("DEAD_RELU",),
    repair="no activation after the last layer",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    nn.init.constant_(model[-1].bias, -0.5)
    if not healthy:
        model.append(nn.ReLU())  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaders(digits8(seed), seed))
