"""U07: the loss with the wrong sign."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "ASCENT",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "EXPLODING_GRADIENT", "DEAD_RELU"),
    repair="loss.backward()",
    earliest="step 20",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    sign = 1.0 if healthy else -1.0  # the fault

    def signed_step(case: Case, batch: Any) -> Tensor:
        x, y = batch
        case.optimizer.zero_grad()
        loss = case.loss_fn(case.model(x), y)
        (sign * loss).backward()
        case.optimizer.step()
        return loss.detach()

    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 0.01),
        *loaders(waves3(seed), seed),
        train_step=signed_step,
        epochs=12,
    )
