"""S21: scaled_dot_product_attention with dropout_p as a number: it drops in validation too."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_rows

FAULT = Fault(
    "STOCHASTIC_EVAL",
    consequence=("DROPOUT_TOO_HIGH",),
    repair="dropout_p=0.75 if self.training else 0.0",
    harm="report",
)


class Attention(nn.Module):
    """Two heads of attention over the rows of a digit."""

    def __init__(self, always: bool) -> None:
        super().__init__()
        self.project = nn.Linear(8, 32)
        self.places = nn.Parameter(0.1 * torch.randn(8, 32))
        self.qkv = nn.Linear(32, 96)
        self.fc = nn.Linear(8 * 32, 10)
        self.always = always

    def forward(self, x: Tensor) -> Tensor:
        h = self.project(x) + self.places
        q, k, v = self.qkv(h).reshape(-1, 8, 3, 2, 16).permute(2, 0, 3, 1, 4)
        p = 0.75 if self.always or self.training else 0.0  # the fault
        a = F.scaled_dot_product_attention(q, k, v, dropout_p=p)
        return self.fc(a.transpose(1, 2).reshape(len(x), -1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Attention(always=not healthy)
    rows = loaders(digit_rows(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *rows, epochs=8)
