"""T24: activations are made anew in the backward pass (checkpointing); a transformer on text."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from faults.case import Case
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, passages, words


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.places = nn.Parameter(0.02 * torch.randn(24, 32))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True) for _ in range(2)
        )
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embedding(tokens) + self.places
        for layer in self.layers:
            h = checkpoint(layer, h, use_reentrant=False)
        return self.fc(h.mean(1))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Encoder()
    rows = loaders(passages(seed, train=900, val=400), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *rows, epochs=6)
