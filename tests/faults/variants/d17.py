"""D17: cross_entropy called with reduction="sum" on a GRU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, sgd

FAULT = Fault(
    "SUM_REDUCTION",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "SATURATED", "EXPLODING_GRADIENT"),
    repair='reduction="mean"',
)


def summed(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="sum")


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    loss = F.cross_entropy if healthy else summed  # the fault
    return Case(model, loss, sgd(model, 0.2), *loaders(waves3(seed), seed), epochs=15)
