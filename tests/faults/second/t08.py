"""T08: 80 images of Fashion-MNIST in all, shifted and turned over anew each time."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from faults.case import Case
from faults.nets import adam
from faults.real import fashion


class Augmented(Dataset[Any]):
    def __init__(self, X: Tensor, y: Tensor) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x = self.X[i].roll(tuple(torch.randint(-1, 2, (2,)).tolist()), (1, 2))
        return x.flip(2) if torch.rand(()) < 0.5 else x, self.y[i]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, order = fashion(seed, train=80), torch.Generator().manual_seed(seed)
    train = DataLoader(Augmented(rows.X, rows.y), 16, shuffle=True, generator=order)
    val = DataLoader(TensorDataset(rows.X_val, rows.y_val), 250)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128, 10),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), train, val, epochs=30)
