"""V04: gates: maps weighed by sigmoids of their means (squeeze and excitation)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import colours4, loaders
from faults.nets import adam, conv_net


class Gated(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, 4), nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        gates = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    body = conv_net(channels=3, classes=4)
    model = nn.Sequential(*body[:2], Gated(8), *body[2:])
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(colours4(seed), seed), 8)
