"""D22: weight decay of 1 in plain descent of a convolutional net."""

import torch
import torch.nn.functional as F

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "WEIGHT_DECAY_TOO_LARGE",
    consequence=("INIT_TOO_SMALL", "VANISHING_GRADIENT", "LR_TOO_LOW"),
    repair="weight_decay=0",
    earliest="step 100",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    decay = 1e-4 if healthy else 1.0  # the fault
    optimizer = sgd(model, 0.05, weight_decay=decay)
    return Case(model, F.cross_entropy, optimizer, *loaders(images8(seed), seed), epochs=8)
