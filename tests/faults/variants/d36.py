"""D36: the momentum goes from 0.9 to 0.999 in mid-run."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "MOMENTUM_ROSE",
    accept=("MOMENTUM_TOO_HIGH",),
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "LEARNING_LOST"),
    repair="leave the momentum at 0.9",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    loader, val = loaders(images8(seed), seed)
    steps = 0

    def raised(case: Case, batch: Any) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 5 * len(loader) and not healthy:
            case.optimizer.param_groups[0]["momentum"] = 0.999  # the fault
        return step(case, batch)

    optimizer = sgd(model, 0.1)
    return Case(model, nn.CrossEntropyLoss(), optimizer, loader, val, train_step=raised, epochs=12)
