"""D01: pixels of 0 to 255 into a convolutional net."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "INPUT_NOT_NORMALISED",
    consequence=(
        "LR_TOO_HIGH",
        "DEAD_RELU",
        "INIT_TOO_LARGE",
        "PREMATURE_NAN",
        "EXPLODING_GRADIENT",
    ),
    repair="standardise with the training part's mean and deviation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    if not healthy:
        rows.X, rows.X_val = (rows.X * 255).round(), (rows.X_val * 255).round()  # the fault
    model = conv_net()
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaders(rows, seed), epochs=8)
