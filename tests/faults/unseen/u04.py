"""U04: the gradients are cleared between backward and step."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault, step
from faults.data import images8, loaders
from faults.nets import adam, conv_net

FAULT = Fault(
    "ZERO_AFTER_BACKWARD",
    accept=("NO_STEP",),
    consequence=("LR_TOO_LOW",),
    repair="zero_grad before backward",
    earliest="step 1",
)


def clearing_step(case: Case, batch: Any) -> Tensor:
    x, y = batch
    loss = case.loss_fn(case.model(x), y)
    loss.backward()
    case.optimizer.zero_grad()
    case.optimizer.step()
    return loss.detach()


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 3e-3),
        *loaders(images8(seed), seed),
        train_step=step if healthy else clearing_step,  # the fault
        epochs=5,
    )
