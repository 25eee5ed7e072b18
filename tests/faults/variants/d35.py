"""D35: group["lr"] *= 100 by hand in the fifth epoch, a loss that is a function."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case, Fault, step
from faults.data import loaders, spiral3
from faults.nets import mlp, sgd

FAULT = Fault(
    "LR_ROSE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "LEARNING_LOST"),
    repair="leave the rate as it is",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(2, 64, 64, 3)
    loader, val = loaders(spiral3(seed), seed)
    steps = 0

    def raised(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 25 * len(loader) and not healthy:
            for group in case.optimizer.param_groups:
                group["lr"] *= 100  # the fault
        return step(case, batch)

    optimizer = sgd(model, 0.05)
    return Case(model, F.cross_entropy, optimizer, loader, val, train_step=raised, epochs=40)
