"""D27: a batch that is kept because loading is slow, and never exchanged; attention over words."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case, Fault, step
from faults.data import loaders, topics4
from faults.nets import Transformer, adam

FAULT = Fault(
    "SAME_BATCH",
    consequence=("OVERFIT",),
    repair="take the batch that the loader gives",
    earliest="step 40",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Transformer()
    kept: list[Any] = []

    def kept_step(case: Case, batch: Any) -> Tensor:
        if not kept:
            kept.append(batch)
        return step(case, kept[0])

    return Case(
        model,
        F.cross_entropy,
        adam(model, 3e-3),
        *loaders(topics4(seed), seed, batch=32),
        train_step=step if healthy else kept_step,  # the fault
        epochs=4,
    )
