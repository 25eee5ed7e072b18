"""D26: next(iter(loader)) in the loop: a convolutional net gets the first batch each time."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import images8, loaders
from faults.nets import adam, conv_net

FAULT = Fault(
    "SAME_BATCH",
    consequence=("OVERFIT",),
    repair="for batch in loader",
    earliest="step 40",
)


def first_step(case: Case, batch: Any) -> Tensor:
    return step(case, next(iter(case.train_loader)))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        *loaders(images8(seed), seed, shuffle=False),
        train_step=step if healthy else first_step,  # the fault
        epochs=5,
    )
