"""C74: a trace of noise against rounding is added to each pixel, in validation as in training."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from faults.case import Case
from faults.data import Rows, images8
from faults.nets import conv_net, sgd


class Dequantised(Dataset[Any]):
    """Pixels of 0 to 16 as numbers of 0 to 1, each moved within its own sixteenth of that."""

    def __init__(self, X: Tensor, y: Tensor) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.X[i] + torch.rand(self.X[i].shape) / 16, self.y[i]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows: Rows = images8(seed)
    model, order = conv_net(), torch.Generator().manual_seed(seed)
    train = DataLoader(Dequantised(rows.X, rows.y), 64, shuffle=True, generator=order)
    val = DataLoader(Dequantised(rows.X_val, rows.y_val), 360)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), train, val, epochs=12)
