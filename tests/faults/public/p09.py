"""P09: every weight from N(0, 1)."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "INIT_TOO_LARGE",
    consequence=("LR_TOO_HIGH", "EXPLODING_GRADIENT", "PREMATURE_NAN", "DEAD_RELU"),
    repair="He's initialisation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 256, 256, 10)
    if not healthy:
        for parameter in model.parameters():
            (nn.init.normal_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(digits8(seed), seed))
