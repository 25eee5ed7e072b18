"""C44: matrices of one's own and no layers: x @ W + b by hand."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import sgd


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(20, 64) * (2 / 20) ** 0.5)
        self.b1 = nn.Parameter(torch.zeros(64))
        self.w2 = nn.Parameter(torch.randn(64, 10) * (1 / 64) ** 0.5)
        self.b2 = nn.Parameter(torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.w1 + self.b1).clamp(min=0) @ self.w2 + self.b2


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Plain()
    return Case(
        model, F.cross_entropy, sgd(model, lr=0.05), *loaders(blobs10(seed), seed), epochs=6
    )
