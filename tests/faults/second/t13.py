"""T13: a small vision transformer on Fashion-MNIST: patches, a class word, a head that starts at 0."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.real import fashion


class Vision(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.word = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, 10, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.word.expand(len(x), -1, -1), h], 1) + self.places
        return self.head(self.norm(self.encoder(h)[:, 0]))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Vision()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    rows = loaders(fashion(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=8)
