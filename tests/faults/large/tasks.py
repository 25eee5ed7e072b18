"""What the nets of real size are given to learn, and a training put together from its parts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from faults.case import Case
from faults.data import Rows, generator, loaders, split
from faults.large.nets import Encoder, Lstm, ResNet18, VisionTransformer
from faults.nets import sgd

WORDS, LENGTH, CLASSES = 2000, 48, 10


@dataclass
class Parts:
    """A training before its optimizer and loaders are made; a fault changes some of it."""

    model: Any
    rows: Rows
    loss_fn: Callable[..., Any] = field(default_factory=nn.CrossEntropyLoss)
    optimizer: Callable[[nn.Module], Any] = lambda model: sgd(model, 0.01)
    shuffle: bool = True
    late: Callable[["Parts"], None] = lambda parts: None  # what is done behind the optimizer's back

    def case(self, seed: int) -> Case:
        optimizer = self.optimizer(self.model)
        self.late(self)
        train, val = loaders(self.rows, seed, 16, shuffle=self.shuffle)
        return Case(self.model, self.loss_fn, optimizer, train, val)


@cache
def _digits() -> tuple[Tensor, Tensor]:
    """The digits that scikit-learn carries, (1797, 3, 32, 32) of 0 to 255, and their classes."""
    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 16
    x = nn.functional.interpolate(x, size=32, mode="bilinear")
    shades = torch.tensor([1.0, 0.8, 0.6]).view(3, 1, 1)
    return (255 * x * shades).round(), torch.from_numpy(labels).long()


def images(seed: int, scaled: bool = True) -> Rows:
    """Digits as colour images of unit scale; not scaled: as 0 to 255."""
    x, y = _digits()
    order = torch.randperm(len(x), generator=generator(seed))
    x = (x[order] - x.mean()) / x.std() if scaled else x[order]
    return split(x, y[order], 1437)


def sequences(seed: int, scaled: bool = True) -> Rows:
    """The same digits row by row, (N, 32, 96)."""
    rows = images(seed, scaled)
    rows.X, rows.X_val = (x.transpose(1, 2).flatten(2).contiguous() for x in (rows.X, rows.X_val))
    return rows


def texts(seed: int) -> Rows:
    """Words 1 to 1999 of which each class has its own, 8 to 48 a text, padded with 0."""
    g = generator(seed)
    n = 1800
    y = torch.randint(CLASSES, (n,), generator=g)
    words = torch.randint(1, WORDS, (n, LENGTH), generator=g)
    own = 1 + 150 * y[:, None] + torch.randint(150, (n, LENGTH), generator=g)
    words = torch.where(torch.rand(n, LENGTH, generator=g) < 0.3, own, words)
    lengths = torch.randint(8, LENGTH + 1, (n, 1), generator=g)
    return split(torch.where(torch.arange(LENGTH) < lengths, words, 0), y, 1500)


def resnet(seed: int, small: bool = False) -> Parts:
    return Parts(ResNet18(width=8 if small else 64), images(seed))


def transformer(seed: int, small: bool = False) -> Parts:
    model = VisionTransformer(width=64, layers=2) if small else VisionTransformer()
    return Parts(model, images(seed))


def lstm(seed: int, small: bool = False) -> Parts:
    return Parts(Lstm(width=48 if small else 512), sequences(seed))


def encoder(seed: int, small: bool = False) -> Parts:
    model = Encoder(width=64, layers=2, words=WORDS) if small else Encoder()
    return Parts(model, texts(seed))


TASKS = {"RESNET": resnet, "VIT": transformer, "LSTM": lstm, "ENCODER": encoder}
