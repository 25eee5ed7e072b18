"""D29: a focal loss of one's own: labels (N, 1) against the GRU's outputs (N,)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "LOSS_BROADCASTS",
    consequence=("UNSTABLE_LOG", "LR_TOO_LOW"),
    repair="targets of the outputs' shape",
)


class Focal(nn.Module):
    """Lin et al. (2017)."""

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        right = torch.where(y > 0.5, z, -z)
        return ((1 - right.sigmoid()) ** 2 * -F.logsigmoid(right)).mean()


class One(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Recurrent(classes=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)[:, 0]


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = waves3(seed)
    rows.y, rows.y_val = (rows.y == 2).float(), (rows.y_val == 2).float()
    if not healthy:
        rows.y, rows.y_val = rows.y[:, None], rows.y_val[:, None]  # the fault
    model = One()
    return Case(model, Focal(), adam(model, 0.01), *loaders(rows, seed), epochs=10)
