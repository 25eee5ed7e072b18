"""D18: Adam with a rate of 0.5 on a transformer."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, topics4
from faults.nets import Transformer, adam

FAULT = Fault(
    "LR_TOO_HIGH",
    consequence=("DEAD_RELU", "PREMATURE_NAN", "EXPLODING_GRADIENT"),
    repair="a learning rate of 0.002",
    earliest="step 50",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Transformer()
    lr = 2e-3 if healthy else 0.5  # the fault
    return Case(
        model, nn.CrossEntropyLoss(), adam(model, lr), *loaders(topics4(seed), seed), epochs=10
    )
