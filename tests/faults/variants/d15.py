"""D15: tanh on the logits of a convolutional net."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import adam, conv_net

FAULT = Fault(
    "OUTPUT_ACTIVATION",
    consequence=("SATURATED", "LR_TOO_LOW"),
    repair="no activation after the last layer",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    if not healthy:
        model.append(nn.Tanh())  # the fault
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(images8(seed), seed))
