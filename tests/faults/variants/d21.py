"""D21: a loop of one's own that clips, and never clears the gradients of a GRU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, sgd

FAULT = Fault(
    "NO_ZERO_GRAD",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "SATURATED", "EXPLODING_GRADIENT"),
    repair="optimizer.zero_grad() before backward",
    earliest="step 2",
)


def clipped(case: Case, batch: Any, clear: bool) -> Tensor:
    x, y = batch
    if clear:
        case.optimizer.zero_grad()  # the fault: left out
    loss = F.cross_entropy(case.model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(case.model.parameters(), 5.0)
    case.optimizer.step()
    return loss.detach()


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    return Case(
        model,
        F.cross_entropy,
        sgd(model, 0.2),
        *loaders(waves3(seed), seed),
        train_step=lambda case, batch: clipped(case, batch, clear=healthy),
        epochs=15,
    )
