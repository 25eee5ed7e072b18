"""C62: seven steps on each batch before the next one comes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faults.case import Case, step
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam


def seven(case: Case, batch: Any) -> Tensor:
    return [step(case, batch) for _ in range(7)][-1]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    return Case(
        model,
        F.cross_entropy,
        adam(model, 2e-3),
        *loaders(waves3(seed, 1800), seed),
        train_step=seven,
        epochs=3,
    )
