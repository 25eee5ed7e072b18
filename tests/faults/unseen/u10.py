"""U10: the first batch again and again."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import blobs10, loaders
from faults.nets import adam, mlp

FAULT = Fault(
    "SAME_BATCH",
    consequence=("OVERFIT",),
    repair="take the loop's batch",
    earliest="step 5",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    order = torch.randperm(4000)
    rows = blobs10(seed)
    rows.keep(order)
    train, val = loaders(rows, seed, shuffle=False)

    def first_batch_step(case: Case, batch: Any) -> Tensor:
        return step(case, next(iter(case.train_loader)))

    train_step = step if healthy else first_batch_step  # the fault
    return Case(
        model, nn.CrossEntropyLoss(), adam(model), train, val, train_step=train_step, epochs=5
    )
