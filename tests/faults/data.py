"""Small data sets, made or real, each a function of the seed.

The made ones are cheap to state and to check; digits and breast cancer are measured data that
scikit-learn carries. Each function gives a `Rows` with a training and a validation part.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Rows:
    """Inputs and labels, in a training and a validation part. Programs change the fields."""

    X: Tensor
    y: Tensor
    X_val: Tensor
    y_val: Tensor

    def keep(self, train: Tensor) -> None:
        """Only these training rows, in this order."""
        self.X, self.y = self.X[train], self.y[train]


def loaders(
    rows: Rows, seed: int, batch: int = 64, *, shuffle: bool = True, val_batch: int = 256
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Loaders of both parts; the order of the training rows is a function of the seed alone."""
    order = torch.Generator().manual_seed(seed)
    train = TensorDataset(rows.X, rows.y)
    val = TensorDataset(rows.X_val, rows.y_val)
    return (
        DataLoader(train, batch, shuffle=shuffle, generator=order if shuffle else None),
        DataLoader(val, val_batch),
    )


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 + seed)


def split(X: Tensor, y: Tensor, train: int) -> Rows:
    return Rows(X[:train], y[:train], X[train:], y[train:])


def standardised(rows: Rows) -> Rows:
    """Mean 0 and deviation 1 by the training part's statistics, column by column."""
    mean, std = rows.X.mean(0), rows.X.std(0).clamp_min(1e-8)
    return Rows((rows.X - mean) / std, rows.y, (rows.X_val - mean) / std, rows.y_val)


def blobs10(seed: int, train: int = 4000, val: int = 1000, spread: float = 1.0) -> Rows:
    """Ten normal clouds in 20 dimensions about centres drawn from N(0, 1)."""
    g = generator(seed)
    centres = torch.randn(10, 20, generator=g)
    y = torch.randint(10, (train + val,), generator=g)
    return split(centres[y] + spread * torch.randn(train + val, 20, generator=g), y, train)


def clouds4(seed: int, train: int = 2400, val: int = 800) -> Rows:
    """Four classes of six normal clouds each in 12 dimensions: no plane parts them."""
    g = generator(seed)
    centres = torch.randn(24, 12, generator=g)
    cloud = torch.randint(24, (train + val,), generator=g)
    X = centres[cloud] + 0.4 * torch.randn(train + val, 12, generator=g)
    return split(X, cloud % 4, train)


def moons2(seed: int, train: int = 1500, val: int = 500, noise: float = 0.15) -> Rows:
    """Two half circles that reach into each other, standardised."""
    g = generator(seed)
    n = train + val
    t, y = math.pi * torch.rand(n, generator=g), torch.randint(2, (n,), generator=g)
    one = torch.stack([t.cos(), t.sin()], 1)
    other = torch.stack([1 - t.cos(), 0.5 - t.sin()], 1)
    X = torch.where(y[:, None] == 0, one, other) + noise * torch.randn(n, 2, generator=g)
    return standardised(split(X, y, train))


def spiral3(seed: int, train: int = 1500, val: int = 600) -> Rows:
    """Three arms of a spiral in the plane."""
    g = generator(seed)
    n = train + val
    r, y = 0.1 + 0.9 * torch.rand(n, generator=g), torch.randint(3, (n,), generator=g)
    angle = 5 * r + 2 * math.pi * y / 3 + 0.15 * torch.randn(n, generator=g)
    return split(torch.stack([2 * r * angle.cos(), 2 * r * angle.sin()], 1), y, train)


def rings2(seed: int, train: int = 1500, val: int = 500) -> Rows:
    """A disc within a ring, radius up to 1 and from 1.3 to 2."""
    g = generator(seed)
    n = train + val
    y = torch.randint(2, (n,), generator=g)
    r, angle = torch.rand(n, generator=g), 2 * math.pi * torch.rand(n, generator=g)
    radius = torch.where(y == 0, r.sqrt(), 1.3 + 0.7 * r)
    return split(torch.stack([radius * angle.cos(), radius * angle.sin()], 1), y, train)


def tab12(seed: int, train: int = 3000, val: int = 1000) -> Rows:
    """Twelve normal columns; five of them make the odds of class 1. Half of the noise stays."""
    g = generator(seed)
    X = torch.randn(train + val, 12, generator=g)
    z = 2 * X[:, 0] - 1.5 * X[:, 1] + X[:, 2] * X[:, 3] + 0.5 * (3 * X[:, 4]).sin()
    y = torch.bernoulli(torch.sigmoid(2 * z), generator=g).long()
    return split(X, y, train)


def weak12(seed: int, train: int = 6000, val: int = 4000) -> Rows:
    """Twelve normal columns; the first alone tells something, z = 0.5 x0 in place of tab12's."""
    g = generator(seed)
    X = torch.randn(train + val, 12, generator=g)
    return split(X, torch.bernoulli(torch.sigmoid(X[:, 0]), generator=g).long(), train)


@cache
def _sklearn(name: str) -> tuple[Tensor, Tensor]:
    from sklearn import datasets

    X, y = getattr(datasets, name)(return_X_y=True)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y)


def digits8(seed: int) -> Rows:
    """Handwritten digits, 8 x 8 pixels in a row of 64, from 0 to 1; 1,437 and 360 rows."""
    X, y = _sklearn("load_digits")
    order = torch.randperm(len(y), generator=generator(seed))
    return split(X[order] / 16, y[order], 1437)


def images8(seed: int) -> Rows:
    """The digits as images: rows x 1 x 8 x 8."""
    rows = digits8(seed)
    rows.X, rows.X_val = rows.X.reshape(-1, 1, 8, 8), rows.X_val.reshape(-1, 1, 8, 8)
    return rows


def cancer(seed: int) -> Rows:
    """Breast cancer: 30 measures as they were taken, deviations from 0.003 to 570; 2 classes."""
    X, y = _sklearn("load_breast_cancer")
    order = torch.randperm(len(y), generator=generator(seed))
    return split(X[order], y[order], 426)


def waves3(seed: int, train: int = 900, val: int = 300, noise: float = 0.5) -> Rows:
    """Sequences (rows, 20 times, 1): a sine of one of three frequencies, any phase, and noise."""
    g = generator(seed)
    n = train + val
    y = torch.randint(3, (n,), generator=g)
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    times = torch.arange(20.0)
    clean = (phase + 0.35 * (1 + y[:, None]) * times).sin()
    return split((clean + noise * torch.randn(n, 20, generator=g))[:, :, None], y, train)


def topics4(seed: int, train: int = 1200, val: int = 400, length: int = 12) -> Rows:
    """Texts as word numbers 0 to 39 (rows, words): each of four topics likes words of its own."""
    g = generator(seed)
    n = train + val
    liked = (1.2 * torch.randn(4, 40, generator=g)).softmax(1)
    y = torch.randint(4, (n,), generator=g)
    return split(torch.multinomial(liked[y], length, replacement=True, generator=g), y, train)


def colours4(seed: int, train: int = 800, val: int = 300) -> Rows:
    """Images (rows, 3, 8, 8): the hue of a soft disc tells the class, its place does not."""
    g = generator(seed)
    n = train + val
    hues = torch.tensor([[1.0, 0.2, 0.2], [0.2, 1.0, 0.2], [0.2, 0.2, 1.0], [0.7, 0.7, 0.1]])
    y = torch.randint(4, (n,), generator=g)
    centre = 1.5 + 4 * torch.rand(n, 2, 1, 1, generator=g)
    axis = torch.arange(8.0)
    d2 = (axis[None, :, None] - centre[:, 0]) ** 2 + (axis[None, None, :] - centre[:, 1]) ** 2
    disc = (-d2 / 4).exp()[:, None] * hues[y][:, :, None, None]
    return split(disc + 0.25 * torch.randn(n, 3, 8, 8, generator=g), y, train)
