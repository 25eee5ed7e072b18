"""T21: one layer of attention written by hand, used three times over (a universal transformer)."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_rows


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        q, k, v = (
            part(h).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        weights = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(3)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Universal(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.project = nn.Linear(8, width)
        self.places = nn.Parameter(0.1 * torch.randn(8, width))
        self.layer = Layer(width, 4)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.project(x) + self.places
        for _ in range(3):
            h = self.layer(h)
        return self.fc(h.mean(1))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Universal()
    rows = loaders(digit_rows(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *rows, epochs=8)
