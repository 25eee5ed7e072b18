"""D28: binary cross entropy by hand: outputs (N, 1) against labels (N,)."""

import torch
from torch import Tensor

from faults.case import Case, Fault
from faults.data import loaders, tab12
from faults.nets import adam, mlp

FAULT = Fault(
    "LOSS_BROADCASTS",
    consequence=("UNSTABLE_LOG", "LR_TOO_LOW"),
    repair="y.unsqueeze(1)",
)


def by_hand(z: Tensor, y: Tensor) -> Tensor:
    p = torch.sigmoid(z).clamp(1e-6, 1 - 1e-6)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = tab12(seed)
    rows.y, rows.y_val = rows.y.float(), rows.y_val.float()
    if healthy:
        rows.y, rows.y_val = rows.y[:, None], rows.y_val[:, None]  # the fault
    model = mlp(12, 32, 1)
    return Case(model, by_hand, adam(model, 3e-3), *loaders(rows, seed), epochs=6)
