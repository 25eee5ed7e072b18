"""U06: gradients clipped to a length of 0.0001, plain descent."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "CLIP_TOO_TIGHT",
    consequence=("LR_TOO_LOW", "STOPPED_TOO_EARLY"),
    repair="a greatest length of 1",
    earliest="step 200",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    longest = 1.0 if healthy else 1e-4  # the fault

    def clipped_step(case: Case, batch: Any) -> Tensor:
        x, y = batch
        case.optimizer.zero_grad()
        loss = case.loss_fn(case.model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(case.model.parameters(), longest)
        case.optimizer.step()
        return loss.detach()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model, 0.05),
        *loaders(digits8(seed), seed),
        train_step=clipped_step,
    )
