"""The nets and the recipe that the programs start from."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers of PyTorch's own initialisation with an activation between them."""
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), activation()]
    return nn.Sequential(*layers[:-1])


def sgd(model: nn.Module, lr: float = 0.1, momentum: float = 0.9, **rest: float) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr, momentum=momentum, **rest)


def adam(model: nn.Module, lr: float = 1e-3) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr)


def conv_net(channels: int = 1, classes: int = 10, width: int = 8) -> nn.Sequential:
    """Two convolutions and a linear layer, for images of 8 x 8."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * 16, classes),
    )


class Recurrent(nn.Module):
    """A GRU that reads a sequence (rows, times, 1), and a linear layer on its last state."""

    def __init__(self, classes: int = 3, width: int = 24) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.gru(x)
        return self.head(last[-1])


class Transformer(nn.Module):
    """Embeddings of words and places, one layer of attention, the mean over the text."""

    def __init__(
        self, classes: int = 4, words: int = 40, length: int = 12, width: int = 24
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.layer = nn.TransformerEncoderLayer(width, 2, 48, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layer(self.words(tokens) + self.places).mean(1))
