"""D12: three layers and no activation between them, in a forward pass of one's own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, rings2
from faults.nets import adam

FAULT = Fault(
    "NO_NONLINEARITY",
    consequence=("CAPACITY_TOO_LOW",),
    repair="an activation after each hidden layer",
)


class Net(nn.Module):
    def __init__(self, linear: bool) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 1)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        if self.linear:
            return self.three(self.two(self.one(x)))  # the fault
        return self.three(F.elu(self.two(F.elu(self.one(x)))))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = rings2(seed)
    rows.y, rows.y_val = rows.y[:, None].float(), rows.y_val[:, None].float()
    model = Net(linear=not healthy)
    return Case(model, F.binary_cross_entropy_with_logits, adam(model, 5e-3), *loaders(rows, seed))
