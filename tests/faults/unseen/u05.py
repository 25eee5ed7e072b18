"""U05: a schedule meant for epochs steps once a batch: the rate is gone after an eighth."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "SCHEDULE_COLLAPSE",
    consequence=("LR_TOO_LOW", "STOPPED_TOO_EARLY"),
    repair="scheduler.step() once an epoch",
    earliest="step 50",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    optimizer = sgd(model, 0.01)
    fall = torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.1)

    def falling_step(case: Case, batch: Any) -> Tensor:
        loss = step(case, batch)
        fall.step()  # the fault
        return loss

    rows = blobs10(seed)
    case = Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(rows, seed), epochs=8)
    if healthy:
        case.scheduler = fall
    else:
        case.train_step = falling_step
    return case
