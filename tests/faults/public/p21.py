"""P21: gradients of all earlier steps are still there."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "NO_ZERO_GRAD",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "EXPLODING_GRADIENT"),
    repair="optimizer.zero_grad() before backward",
    earliest="step 2",
)


def hurried_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    # The fault: no optimizer.zero_grad().
    loss = case.loss_fn(case.model(x), y)
    loss.backward()
    case.optimizer.step()
    return loss.detach()


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    train_step = step if healthy else hurried_step  # the fault
    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model),
        *loaders(digits8(seed), seed),
        train_step=train_step,
    )
